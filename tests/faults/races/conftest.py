"""A shop for each database, at a bank that tests can play with: it tells the shop nothing by itself."""

import json
import os
import shutil
from contextlib import ExitStack

import pytest

from tests.bank.conftest import Bank
from tests.journeys.conftest import books_balance, staffed
from tests.postgres import database, postgres_server
from tests.rig import Shop

__all__ = ["books_balance", "postgres_server"]

SECRET = "whsec_only_for_tests_0123456789"
FULL = os.environ.get("WAYBILL_FULL") == "1"


class Market(Shop):
    """A shop whose bank is the test's own: its ledger is the witness, its events are sent by hand."""

    def __init__(self, folder, bank, *, env):
        self.bank = bank
        ours = {"STRIPE_API_BASE": bank.url, "STRIPE_WEBHOOK_SECRET": SECRET}
        super().__init__(folder, env=ours | env)

    def ledger(self):
        # A line without its end is still being written.
        lines = self.bank.ledger.read_text().splitlines(keepends=True) if self.bank.ledger.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def manage(self, *arguments):
        # The doctor reads the ledger in the data folder, where this shop's own bank has nothing to write.
        shutil.copy(self.bank.ledger, self.folder / "bank.jsonl")
        return super().manage(*arguments)

    @property
    def vendor(self):
        return self.facts["database_url"].partition(":")[0]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shop(request, tmp_path_factory):
    folder, env = tmp_path_factory.mktemp(f"races-{request.param}"), {}
    bank = Bank(folder / "bank.jsonl", "--playground").start()
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
