"""The tests that touch data, once more on PostgreSQL. The run around this one is on SQLite.

That run goes on beside this one from the start; the test here only asks how it ended. Its server does not wait
for the disk: nobody kills it, and emptying the tables after each test would take most of the time.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.postgres import database, server

CHECKOUT = Path(__file__).resolve().parent.parent
DATA_TESTS = ("tests/notifications", "tests/orders", "tests/accounts", "tests/api/test_contract.py")

already_there = pytest.mark.skipif(
    "DATABASE_URL" in os.environ, reason="this run is already on the database named by DATABASE_URL"
)


class RunBeside:
    """A pytest of its own on a throw-away PostgreSQL."""

    def __init__(self):
        self._pytest = None
        self._thread = ThreadPoolExecutor(1)
        self._result = self._thread.submit(self._run)

    def result(self):
        """Its exit code and what it printed. Raises pytest's skip or failure where there is no PostgreSQL."""
        return self._result.result()

    def stop(self):
        if self._pytest and self._pytest.poll() is None:
            self._pytest.terminate()
        self._thread.shutdown()

    def _run(self):
        with server(fsync=False) as started, database(started) as url:
            argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *DATA_TESTS]
            env = {**os.environ, "DATABASE_URL": url}
            self._pytest = subprocess.Popen(
                argv, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            printed, _ = self._pytest.communicate()
            return self._pytest.returncode, printed


@already_there
def test_all_that_touches_data_passes_on_postgresql_too(request):
    code, printed = request.config.run_on_postgresql.result()

    print(printed[-1500:])
    assert code == 0, printed[-6000:]
