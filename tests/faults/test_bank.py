"""The line to the bank breaks: checkout answers in time, the catalogue does not notice, and every payment is resolved
when the line is back, by asking: paid once, and never called failed."""

import os
import secrets
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.faults.crowd import Client, insist
from tests.journeys import tables
from tests.journeys.test_payments import LIES, visible
from tests.rig import until

FULL = os.environ.get("WAYBILL_FULL") == "1"
BUYERS = 12
CHECKOUT = 11.0  # seconds: the gateway's ten, and one for us
A_PAGE = 1.0  # seconds
LASTING = 30.0 if FULL else 12.0  # seconds
SOON, LATEST = 3.0, 60.0  # seconds from the bank's return: for 95 of 100 payments, and for all
FAULTS = {
    "down": lambda line: line.down(),
    "black hole": lambda line: line.black_hole(),
    "answer to confirm dropped": lambda line: line.cut_answers(to="/confirm"),
    "answer cut in the middle": lambda line: line.cut_answers(after=40),
    "slow drip": lambda line: line.drip(piece=1, every=0.2),
}


@dataclass
class Payment:
    """One order whose payment met the fault, and everything that was said of it."""

    email: str = field(default_factory=lambda: f"{secrets.token_hex(6)}@example.com")
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    told: list = field(default_factory=list)
    took: float = 0.0

    def buy(self, shop):
        client, began = Client(shop), time.monotonic()
        self.told.append(client.order(email=self.email, key=self.key))
        self.took = time.monotonic() - began
        client.close()

    def insist(self, shop):
        client = Client(shop)
        answer = insist(lambda: client.order(email=self.email, key=self.key), seen=self.told)
        client.close()
        return answer


@dataclass
class Outage:
    """What was seen of it."""

    payments: list[Payment]
    pages: list[str] = field(default_factory=list)  # of the orders, as a person reads them, while nobody knew
    reading: list[float] = field(default_factory=list)  # how long the catalogue took meanwhile, in seconds
    settled: list[float] = field(default_factory=list)  # payments, in seconds from the bank's return


@contextmanager
def reading(shop, took):
    """Somebody looks at the catalogue all the time; `took` gets the seconds of each page."""
    client, going = Client(shop, None), True

    def read():
        while going:
            began = time.monotonic()
            assert client.get("/").status == 200
            took.append(time.monotonic() - began)
            time.sleep(0.05)

    with ThreadPoolExecutor(1) as reader:
        done = reader.submit(read)
        try:
            yield
        finally:
            going = False
    done.result()
    client.close()


def settled_at(shop, emails, *, since):
    """Seconds from `since` until each order's payment has its end, as the table says it, seen within 50 ms."""
    seen, deadline = {}, time.monotonic() + LATEST + 10
    marks = ", ".join(["%s"] * len(emails))
    while len(seen) < len(emails) and time.monotonic() < deadline:
        for (email,) in tables.rows(
            shop,
            "SELECT o.email FROM orders_order o JOIN orders_paymentattempt a ON a.order_id = o.id"
            f" WHERE a.finished_at IS NOT NULL AND o.email IN ({marks})",
            *emails,
        ):
            seen.setdefault(email, time.monotonic() - since)
        time.sleep(0.05)
    assert len(seen) == len(emails), f"{len(emails) - len(seen)} payments have no end"
    return sorted(seen.values())


def outage(shop, line, fault, *, lasting):
    """Many checkouts at once while the line has this fault; `lasting` seconds after their answers it is well again."""
    seen = Outage([Payment() for _ in range(BUYERS)])
    FAULTS[fault](line)
    with ThreadPoolExecutor(BUYERS) as threads, reading(shop, seen.reading):
        list(threads.map(lambda payment: payment.buy(shop), seen.payments))
    well_again = time.monotonic() + lasting
    while True:
        seen.pages += [look(shop, payment) for payment in seen.payments]
        if time.monotonic() > well_again:
            break
        time.sleep(1)
    line.heal()
    seen.settled = settled_at(shop, [payment.email for payment in seen.payments], since=time.monotonic())
    return seen


def look(shop, payment):
    """What the buyer's page of the order says now."""
    path = payment.told[0].json()["links"]["page"].removeprefix(shop.url)
    return visible(shop.get(path, key=None).text)


def p95(values):
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_line_to_the_bank_delays_payments_and_nothing_else(shop, lines, slack, books_balance, fault):
    seen = outage(shop, lines.bank, fault, lasting=LASTING if fault == "black hole" else 0)

    slowest, soon, last = max(payment.took for payment in seen.payments), p95(seen.settled), seen.settled[-1]
    print(
        f"{fault}: {BUYERS} checkouts answered within {slowest:.1f} s, catalogue p95 {1000 * p95(seen.reading):.0f} ms"
        f" of {len(seen.reading)} pages; settled after the bank's return: p95 {soon:.1f} s, last {last:.1f} s"
        f" (a healthy checkout takes {slack / 5:.2f} s now)"
    )
    assert {payment.told[0].status for payment in seen.payments} == {202}
    assert slowest < CHECKOUT + slack
    assert p95(seen.reading) < A_PAGE + slack
    for payment in seen.payments:
        final = payment.insist(shop)
        assert (final.status, final.json()["payment_status"]) == (201, "paid")
        assert len(tables.charges(shop, final.json()["number"])) == 1
    everything_said = seen.pages + [said.text for payment in seen.payments for said in payment.told]
    assert not [why for text in everything_said if (why := LIES.search(text))]
    assert soon < SOON + slack
    assert last < LATEST
    until(lambda: all(len(shop.mailbox(to=buyer.email)) == 1 for buyer in seen.payments), within=30, what="letters")
    books_balance()
