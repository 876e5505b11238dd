"""The tests that touch data, once more on PostgreSQL. The run around this one is on SQLite.

The server here does not wait for the disk: nobody kills it, and emptying the tables after each test would take most
of the time.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import database, server

CHECKOUT = Path(__file__).resolve().parent.parent
UPLOADS = ("tests/uploads/test_intake.py", "tests/uploads/test_journey.py")
DATA_TESTS = ("tests/notifications", "tests/orders", "tests/accounts", *UPLOADS, "tests/api/test_contract.py")

already_there = pytest.mark.skipif(
    "DATABASE_URL" in os.environ, reason="this run is already on the database named by DATABASE_URL"
)


@already_there
def test_all_that_touches_data_passes_on_postgresql_too(tmp_path):
    """A pytest of its own on a throw-away PostgreSQL."""
    with server(fsync=False) as started, database(started) as url:
        argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *DATA_TESTS]
        env = {**os.environ, "DATABASE_URL": url, "WAYBILL_DATA": str(tmp_path)}  # a cache of its own
        ran = subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True)

    print(ran.stdout[-1500:])
    assert ran.returncode == 0, ran.stdout[-6000:]
