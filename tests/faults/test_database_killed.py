"""PostgreSQL is killed with SIGKILL while buyers order: what was acknowledged is there, and selling goes on at once.

A kill of processes, not a loss of power: what the server had given to the operating system is still written.
"""

import os
import secrets
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.faults.crowd import BROKEN, Client, insist, unfinished
from tests.faults.shelf import new_products
from tests.journeys import tables

pytestmark = pytest.mark.crash

LONG = os.environ.get("CI") == "true" or os.environ.get("WAYBILL_FULL") == "1"
KILLS = 3 if LONG else 1
BUYERS = 8
LOAD = 3.0  # seconds of orders before each kill, and after the last
FIRST_CHECKOUT = 5.0  # seconds after PostgreSQL accepts connections again


@dataclass
class Load:
    """Buyers that order without end. Whose answer is not final leaves the rest to another, who asks at the end."""

    shop: object
    sku: str
    acknowledged: list[tuple[str, str]] = field(default_factory=list)  # (e-mail, order number)
    unfinished: list[tuple[str, str]] = field(default_factory=list)  # (e-mail, key)
    told: Counter = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self._buyers = ThreadPoolExecutor(BUYERS)
        self._running = [self._buyers.submit(self._buy_on) for _ in range(BUYERS)]
        return self

    def __exit__(self, *_):
        self._over.set()
        for buyer in self._running:
            buyer.result()
        list(self._buyers.map(self._finish, self.unfinished))
        self._buyers.shutdown()

    def _buy_on(self):
        client = Client(self.shop)
        while not self._over.is_set():
            email, key = f"{secrets.token_hex(6)}@example.com", secrets.token_hex(16)
            try:
                answer = client.order(sku=self.sku, email=email, key=key)
            except BROKEN as broken:
                self.told[type(broken).__name__] += 1
                self.unfinished.append((email, key))
            else:
                self._hear(answer, email, key)
        client.close()

    def _hear(self, answer, email, key):
        self.told[answer.status] += 1
        if answer.status == 201:
            self.acknowledged.append((email, answer.json()["number"]))
            return
        assert unfinished(answer), answer.text
        self.unfinished.append((email, key))
        time.sleep(0.2)  # the next buyer comes, but not at once

    def _finish(self, story):
        email, key = story
        client = Client(self.shop)
        answer = insist(lambda: client.order(sku=self.sku, email=email, key=key))
        assert answer.status == 201, answer.text
        self.acknowledged.append((email, answer.json()["number"]))
        client.close()


def first_checkout(shop, sku):
    """Seconds until a new order is answered with 201, tried twenty times a second."""
    began, client = time.monotonic(), Client(shop)
    while time.monotonic() < began + 30:
        try:
            if client.order(sku=sku).status == 201:
                client.close()
                return time.monotonic() - began
        except BROKEN:
            pass
        time.sleep(0.05)
    pytest.fail("no checkout within 30 s")


def test_killed_under_load_no_acknowledged_order_is_lost(shop, cluster, slack, books_balance):
    [sku] = new_products(shop, f"KILLED{secrets.token_hex(3)}", 1, 1_000_000)

    with Load(shop, sku) as load:
        for _ in range(KILLS):
            time.sleep(LOAD)
            before = len(load.acknowledged)
            cluster.kill()
            down = time.monotonic()
            cluster.start()
            accepts = time.monotonic()
            took = first_checkout(shop, sku)
            print(
                f"killed after {before} orders; accepted connections {accepts - down:.1f} s later,"
                f" first checkout {took:.1f} s after that"
            )
            assert took < FIRST_CHECKOUT + slack
        time.sleep(LOAD)

    print(
        f"{len(load.acknowledged)} orders acknowledged through {KILLS} kills, {len(load.unfinished)} of them to a later"
        f" question; first answers: {dict(load.told)}"
    )
    assert len(load.acknowledged) > before > 0
    there = tables.rows(
        shop,
        "SELECT o.email, o.number, a.id FROM orders_order o JOIN orders_paymentattempt a ON a.order_id = o.id"
        " WHERE o.status = 'paid' AND a.state = 'succeeded' AND o.email LIKE %s",
        "%@example.com",
    )
    references = {(email, number): str(attempt) for email, number, attempt in there}
    assert set(load.acknowledged) <= set(references)
    charged = Counter(line["reference"] for line in tables.taken(shop))
    assert {charged[references[order]] for order in load.acknowledged} == {1}
    emails = Counter(email for email, _, _ in there)
    assert {emails[email] for email, _ in load.acknowledged} == {1}
    books_balance()
