"""A shop for each database, at a bank that tests can play with."""

import os
from contextlib import ExitStack

import pytest

from tests.faults.market import Market, OwnBank
from tests.journeys.conftest import books_balance, staffed
from tests.postgres import database, postgres_server

__all__ = ["books_balance", "postgres_server"]

FULL = os.environ.get("WAYBILL_FULL") == "1"


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shop(request, tmp_path_factory):
    folder, env = tmp_path_factory.mktemp(f"races-{request.param}"), {}
    bank = OwnBank(folder, "--playground").start()
    with ExitStack() as stack:
        stack.callback(bank.kill)
        if request.param == "postgresql":
            env["DATABASE_URL"] = stack.enter_context(database(request.getfixturevalue("postgres_server")))
        yield staffed(stack.enter_context(Market(folder / "shop", bank, env=env)))


@pytest.fixture
def rounds(shop):
    """How often a race is run; on SQLite, where writers queue anyway, a tenth of that."""

    def count(*, normal, full):
        wanted = full if FULL else normal
        return wanted if shop.vendor != "sqlite" else max(wanted // 10, 1)

    return count
