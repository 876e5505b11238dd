"""A shop at a bank of the test's own: its line can be cut, it can be played with, and its ledger is the witness."""

import json
import shutil

from config import ports
from orders.gateways.bank.webhooks import signature
from tests.bank.conftest import Bank
from tests.faults.crowd import insist
from tests.rig import Shop

SECRET = "whsec_only_for_tests_0123456789"


class OwnBank(Bank):
    """Like the bank that `up` runs it tells the shop, which will be at `shop_port`, of what happens."""

    def __init__(self, folder, *options):
        [self.shop_port] = ports.free_ports(1)
        hook = f"http://{ports.HOST}:{self.shop_port}/webhooks/stripe/"
        super().__init__(
            folder / "bank.jsonl", "--late", "1", "--webhook-url", hook, "--webhook-secret", SECRET, *options
        )


class Market(Shop):
    """A shop at a bank of one's own, which must be started before it."""

    def __init__(self, folder, bank, *, env):
        self.bank = bank
        ours = {"STRIPE_API_BASE": bank.url, "STRIPE_WEBHOOK_SECRET": SECRET}
        super().__init__(folder, "--port", str(bank.shop_port), env=ours | env)

    def ledger(self):
        # A line without its end is still being written.
        lines = self.bank.ledger.read_text().splitlines(keepends=True) if self.bank.ledger.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def manage(self, *arguments):
        # The doctor reads the ledger in the data folder, where the bank that `up` runs has nothing to write.
        shutil.copy(self.bank.ledger, self.folder / "bank.jsonl")
        return super().manage(*arguments)

    @property
    def vendor(self):
        return self.facts["database_url"].partition(":")[0]


def bring(client, body):
    """The shop's final answer to an event of the bank, brought by hand as the bank would bring it."""
    signed = {"Stripe-Signature": signature(body, SECRET)}
    return insist(lambda: client.send("/webhooks/stripe/", body, signed))
