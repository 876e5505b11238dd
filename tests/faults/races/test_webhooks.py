"""The bank tells of one payment a thousand times at once: it is one transition."""

import json
import secrets
import statistics
import time
from collections import Counter

import pytest

from tests.faults.crowd import Client, Crowd
from tests.faults.market import bring
from tests.journeys import tables
from tests.rig import until

TELLERS, TIMES = 50, 20


@pytest.fixture
def only_by_hand(shop):
    """The bank sends no events by itself: these are for the test to send."""
    shop.bank.play("webhooks", mode="never")
    yield
    shop.bank.play("webhooks", mode="normal")


def test_a_thousand_duplicates_at_once_are_one_transition(shop, only_by_hand, books_balance):
    email, client = f"{secrets.token_hex(6)}@example.com", Client(shop)
    asked = client.order(card="pm_card_authenticationRequired", email=email)
    client.close()
    assert (asked.status, asked.json()["payment_status"]) == (202, "requires_action")
    number = asked.json()["number"]
    body = approve(shop, number)

    with Crowd(shop, TELLERS, who=None) as crowd:
        told = [answer for answers in crowd.at_once(lambda teller, _: tell(teller, body)) for answer in answers]

    took = sorted(seconds for _, seconds in told)
    print(
        f"{shop.vendor}: {len(told)} duplicates from {TELLERS} at once: p50 {1000 * statistics.median(took):.0f} ms,"
        f" p99 {1000 * took[int(len(took) * 0.99) - 1]:.0f} ms"
    )
    assert Counter(answer.status for answer, _ in told) == {200: TELLERS * TIMES}
    assert Counter(answer.text.strip() for answer, _ in told) == {"kept": 1, "known": TELLERS * TIMES - 1}
    changes = (
        "SELECT c.to_status FROM orders_statuschange c JOIN orders_order o ON o.id = c.order_id WHERE o.number = %s"
    )
    assert sorted(tables.rows(shop, changes, number)) == [("paid",), ("placed",)]
    assert len(tables.charges(shop, number)) == 1
    events = (
        "SELECT count(*) FROM notifications_event e JOIN orders_order o ON e.subject = 'order:' || o.id"
        " WHERE o.number = %s AND e.name = 'payment.received'"
    )
    assert tables.rows(shop, events, number) == [(1,)]
    until(lambda: len(shop.mailbox(to=email)) == 1, within=30, what="the confirmation")
    books_balance()


def approve(shop, number):
    """The buyer approves on the bank's page; the event that the bank would send, as bytes."""
    [(intent,)] = tables.rows(
        shop,
        "SELECT a.gateway_id FROM orders_paymentattempt a JOIN orders_order o ON o.id = a.order_id WHERE o.number = %s",
        number,
    )
    assert shop.bank.send("POST", f"/3ds/{intent}", "decision=approve", {}).status == 303
    told = shop.bank.play("events").json["events"]
    [event] = [
        event
        for event in told
        if event["type"] == "payment_intent.succeeded" and event["data"]["object"]["id"] == intent
    ]
    return json.dumps(event).encode()


def tell(teller, body):
    """Send it again and again over one connection; each final answer and its seconds."""
    heard = []
    for _ in range(TIMES):
        began = time.monotonic()
        heard.append((bring(teller, body), time.monotonic() - began))
    return heard
