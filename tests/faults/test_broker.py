"""The line to the broker breaks: buyers do not notice, and letters go all the same."""

import os
import statistics
import time

import pytest

from tests.faults.crowd import Client
from tests.rig import until

LONG = os.environ.get("CI") == "true" or os.environ.get("WAYBILL_FULL") == "1"
FAULTS = {"black hole": lambda line: line.black_hole()}
if LONG:
    FAULTS |= {
        "down": lambda line: line.down(),
        "answers cut": lambda line: line.cut_answers(after=20),
        "slow": lambda line: line.drip(piece=4096, every=1.0),
    }


def buy(shop, count):
    """Orders, and how long each took."""
    client, orders, took = Client(shop), [], []
    for _ in range(count):
        began = time.monotonic()
        answer = client.order()
        took.append(time.monotonic() - began)
        assert answer.status == 201, answer.text
        orders.append(answer.json())
    client.close()
    return orders, took


def letters(shop, orders):
    time.sleep(0.2)  # it is asked again and again, and to read all letters is work for the machine under test
    return sorted((order["number"], letter.to) for order in orders for letter in shop.mailbox(about=order["number"]))


def expected(orders):
    return sorted((order["number"], to) for order in orders for to in (order["email"], "shipping@waybill.example"))


@pytest.mark.parametrize("fault", FAULTS)
def test_with_a_broken_line_to_the_broker_orders_are_taken_and_letters_go(shop, lines, fault):
    before, healthy = buy(shop, 5)
    until(lambda: letters(shop, before) == expected(before), within=60, what="the letters")
    FAULTS[fault](lines.broker)
    broken = time.monotonic()

    orders, took = buy(shop, 8)
    until(lambda: letters(shop, orders) == expected(orders), within=60, what="the letters")
    print(
        f"{fault}: checkout {statistics.median(healthy):.2f} s with, {statistics.median(took):.2f} s without a broker;"
        f" all letters there {time.monotonic() - broken:.1f} s after the line broke"
    )
    lines.heal()
    after, _ = buy(shop, 1)
    until(lambda: letters(shop, after) == expected(after), within=60, what="the letters")

    assert statistics.median(took) < 3 * statistics.median(healthy) + 0.5
    assert letters(shop, before + orders) == expected(before + orders)  # and none of them twice
