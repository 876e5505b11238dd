"""The tests that touch data, once more on PostgreSQL. The run around this one is on SQLite."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import postgres_server, postgres_url  # noqa: F401  fixtures

CHECKOUT = Path(__file__).resolve().parent.parent
DATA_TESTS = ("tests/notifications", "tests/orders", "tests/accounts", "tests/api")


@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="this run is already on the database named by DATABASE_URL")
def test_all_that_touches_data_passes_on_postgresql_too(postgres_url):  # noqa: F811
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *DATA_TESTS]
    done = subprocess.run(
        argv, cwd=CHECKOUT, env={**os.environ, "DATABASE_URL": postgres_url}, capture_output=True, text=True
    )

    print(done.stdout[-1500:])
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
