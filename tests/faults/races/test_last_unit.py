"""Fifty want the one there is, over HTTP: one gets it, the others are told so, and the bank's ledger agrees."""

import secrets
import statistics
import time
from collections import Counter

from tests.faults.crowd import Crowd, insist
from tests.faults.shelf import new_products
from tests.journeys import tables

BUYERS = 50


def test_fifty_buyers_for_one_unit_round_after_round(shop, rounds, books_balance):
    name = f"RACE{secrets.token_hex(3)}"
    skus = new_products(shop, name, rounds(normal=50, full=1_000), 1)
    before, winners, took, waited = len(tables.taken(shop)), [], [], 0

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
        f"{shop.vendor}: {len(skus)} rounds of {BUYERS} buyers for one unit: {len(winners)} sold, {waited} answers were"
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
