"""The tests that touch data, once more on PostgreSQL. The run around this one is on SQLite.

That run goes on beside this one from the start; the test here only asks how it ended. Its server does not wait
for the disk: nobody kills it, and emptying the tables after each test would take most of the time.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.postgres import database, server

CHECKOUT = Path(__file__).resolve().parent.parent
DATA_TESTS = ("tests/notifications", "tests/orders", "tests/accounts", "tests/api/test_contract.py")

already_there = pytest.mark.skipif(
    "DATABASE_URL" in os.environ, reason="this run is already on the database named by DATABASE_URL"
)


def run_on_postgresql(on_stop):
    """A pytest of its own on a throw-away PostgreSQL. Returns its exit code and what it printed."""
    with server(fsync=False) as started, database(started) as url, TemporaryDirectory(prefix="waybill-test-") as data:
        argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *DATA_TESTS]
        env = {**os.environ, "DATABASE_URL": url, "WAYBILL_DATA": data}  # a cache of its own
        process = subprocess.Popen(
            argv, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        on_stop(process.terminate)
        printed, _ = process.communicate()
        return process.returncode, printed


@already_there
def test_all_that_touches_data_passes_on_postgresql_too(request):
    code, printed = request.config.beside.result("PostgreSQL")

    print(printed[-1500:])
    assert code == 0, printed[-6000:]
