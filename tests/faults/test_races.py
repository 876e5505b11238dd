"""Many at one moment, over HTTP: one wins, the others are told so, and the bank's ledger agrees."""

import os
import secrets
import statistics
import time
from collections import Counter

from tests.faults.crowd import Crowd, insist
from tests.faults.shelf import new_products
from tests.journeys import tables
from tests.journeys.conftest import books_balance, shop
from tests.postgres import postgres_server

__all__ = ["books_balance", "postgres_server", "shop"]

FULL = os.environ.get("WAYBILL_FULL") == "1"
ROUNDS = {"sqlite": 100 if FULL else 3, "postgresql": 1_000 if FULL else 50}
BUYERS = 50


def on(shop):
    return "sqlite" if shop.facts["database_url"].startswith("sqlite") else "postgresql"


def test_fifty_buyers_for_one_unit_round_after_round(shop, books_balance):
    rounds, name = ROUNDS[on(shop)], f"RACE{secrets.token_hex(3)}"
    skus, before = new_products(shop, name, rounds, 1), len(tables.taken(shop))
    winners, took, waited = [], [], 0

    with Crowd(shop, BUYERS) as crowd:
        for sku in skus:
            began = time.monotonic()
            answers, tries = all_want(crowd, sku)
            took.append(time.monotonic() - began)
            waited += tries - BUYERS
            told = Counter((answer.status, answer.json().get("code")) for answer in answers)
            assert told == {(201, None): 1, (409, "out_of_stock"): BUYERS - 1}
            winners += [answer.json() for answer in answers if answer.status == 201]

    print(
        f"{on(shop)}: {rounds} rounds of {BUYERS} buyers for one unit: {len(winners)} sold, {waited} answers were"
        f" 'try again'; a round took {statistics.median(took):.2f} s (median), {max(took):.2f} s at most"
    )
    charged = tables.taken(shop)[before:]
    assert {order["payment_status"] for order in winners} == {"paid"}
    assert sorted(charge["reference"] for charge in charged) == sorted(references(shop, winners))
    left = "SELECT s.on_hand, s.reserved FROM orders_stock s JOIN orders_product p ON p.id = s.product_id"
    assert set(tables.rows(shop, f"{left} WHERE p.sku LIKE %s", f"{name}%")) == {(0, 0)}
    books_balance()


def all_want(crowd, sku):
    """The final answer to each of them, and how many answers there were in all."""
    seen = []

    def buy(client, _):
        key = secrets.token_hex(16)
        return insist(lambda: client.order(sku=sku, key=key), seen=seen)

    return crowd.at_once(buy), len(seen)


def references(shop, orders):
    """Under which references the bank knows the payments of these orders: one an order."""
    found = [reference for order in orders for reference in tables.references(shop, order["number"])]
    assert len(found) == len(orders)
    return found
