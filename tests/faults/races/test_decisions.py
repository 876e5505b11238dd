"""Two people decide about one order at the same moment, or fifty about one payment: the goods go one way, the money
adds up at the bank, and whoever came second is told."""

import json
import random
import secrets
import time
from collections import Counter

import pytest

from tests.faults.crowd import Crowd, insist
from tests.faults.market import bring
from tests.faults.shelf import new_products
from tests.journeys import tables

PAIRS = 10  # orders about which two decide, at once
QUANTITY = 2
REFUNDERS = 50


@pytest.fixture(scope="module")
def sku(shop):
    [sku] = new_products(shop, f"DECIDE{secrets.token_hex(3)}", 1, 100_000)
    return sku


def placed(shop, sku, count, card="pm_card_visa"):
    """So many orders, as their buyers were told of them."""
    with Crowd(shop, min(count, 10)) as crowd:
        share = -(-count // len(crowd.clients))
        made = crowd.at_once(
            lambda client, _: [client.order(sku=sku, quantity=QUANTITY, card=card) for _ in range(share)]
        )
    answers = [answer for some in made for answer in some][:count]
    assert {answer.status for answer in answers} <= {201, 202}, answers
    return [answer.json() for answer in answers]


def both(shop, orders, *ways):
    """For each order the final answers of two who decided at the same moment, each in one of the two ways."""
    with Crowd(shop, 2 * len(orders), who="staff") as crowd:
        answers = crowd.at_once(lambda client, n: ways[n % 2](client, orders[n // 2]["number"]))
    return list(zip(answers[::2], answers[1::2], strict=True))


def decide(client, number, what, **body):
    key = secrets.token_hex(16)
    return insist(lambda: client.post(f"/api/v1/orders/{number}/{what}/", body, key=key))


def cancel(client, number):
    return decide(client, number, "cancel", reason="no longer wanted")


def ship(client, number):
    return decide(client, number, "shipments", carrier="Post", tracking="1")


def refund_and_restock(client, number):
    return decide(client, number, "refunds", reason="broken", restock=True)


def kept(shop, number):
    """What the bank has of this order's money, after what it gave back."""
    mine = tables.references(shop, number)
    lines = [line for line in shop.ledger() if line["reference"] in mine and line["status"] == "succeeded"]
    return sum(line["amount"] * {"charge": 1, "refund": -1}.get(line["kind"], 0) for line in lines)


def units(shop, number):
    """Of its one line: shipped, and put back on the shelf."""
    sql = (
        "SELECT l.shipped, l.restocked FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id"
        " WHERE o.number = %s"
    )
    return tables.rows(shop, sql, number)[0]


def status(shop, number):
    return shop.get(f"/api/v1/orders/{number}/").json()["status"]


def test_cancel_and_ship_have_one_winner_and_the_other_is_told(shop, sku, rounds, books_balance):
    won = Counter()
    for _ in range(rounds(normal=2, full=60)):
        orders = placed(shop, sku, PAIRS)
        for order, (cancelled, shipped) in zip(orders, both(shop, orders, cancel, ship), strict=True):
            told = (cancelled.status, shipped.status)
            won[told] += 1
            whole = order["total"]["amount"]
            assert told in ((200, 409), (409, 201)), (cancelled.text, shipped.text)
            if shipped.status == 201:
                assert (status(shop, order["number"]), units(shop, order["number"])) == ("shipped", (QUANTITY, 0))
                assert kept(shop, order["number"]) == whole
            else:
                assert (status(shop, order["number"]), units(shop, order["number"])) == ("cancelled", (0, QUANTITY))
                assert kept(shop, order["number"]) == 0
    print(f"{shop.vendor}: cancel against ship, {won.total()} times: {dict(won)}")
    books_balance()


def test_refund_and_ship_send_the_goods_one_way(shop, sku, rounds, books_balance):
    won = Counter()
    for _ in range(rounds(normal=2, full=60)):
        orders = placed(shop, sku, PAIRS)
        for order, (refunded, shipped) in zip(orders, both(shop, orders, refund_and_restock, ship), strict=True):
            won[(refunded.status, shipped.status)] += 1
            assert refunded.status == 201, refunded.text
            assert shipped.status in (201, 409), shipped.text
            # Who ships first sends the goods, and the money goes back without them; else they are for sale again.
            sent = shipped.status == 201
            assert units(shop, order["number"]) == ((QUANTITY, 0) if sent else (0, QUANTITY))
            assert kept(shop, order["number"]) == 0
    print(f"{shop.vendor}: refund against ship, {won.total()} times: {dict(won)}")
    books_balance()


def test_cancel_and_pay_agree_about_the_money(shop, sku, rounds, books_balance):
    """The buyer approves at the bank, which tells the shop, while somebody calls the order off."""

    def pay(client, number):
        time.sleep(random.random() / 5)  # else the bank, with the least to do, is nearly always first
        return approve_and_tell(shop, client, number)

    won = Counter()
    for _ in range(rounds(normal=2, full=60)):
        orders = placed(shop, sku, PAIRS, card="pm_card_authenticationRequired")
        for order, (cancelled, told) in zip(orders, both(shop, orders, cancel, pay), strict=True):
            ended = status(shop, order["number"])
            won[(cancelled.status, ended, "charged" if tables.charges(shop, order["number"]) else "never charged")] += 1
            assert told in (None, 200)
            assert (cancelled.status, ended) in ((200, "cancelled"), (409, "paid")), cancelled.text
            assert kept(shop, order["number"]) == (order["total"]["amount"] if ended == "paid" else 0)
    print(f"{shop.vendor}: cancel against pay, {won.total()} times: {dict(won)}")
    books_balance()


def approve_and_tell(shop, client, number):
    """Approve on the bank's page, and bring the shop the bank's word of it. None when it was too late to approve."""
    [(intent,)] = tables.rows(
        shop,
        "SELECT a.gateway_id FROM orders_paymentattempt a JOIN orders_order o ON o.id = a.order_id WHERE o.number = %s",
        number,
    )
    shop.bank.send("POST", f"/3ds/{intent}", "decision=approve", {})
    for event in shop.bank.play("events").json["events"]:
        if event["type"] == "payment_intent.succeeded" and event["data"]["object"]["id"] == intent:
            return bring(client, json.dumps(event).encode()).status
    return None


def test_fifty_refunds_of_one_payment_give_back_no_more_than_was_taken(shop, sku, rounds, books_balance):
    for _ in range(rounds(normal=1, full=40)):
        [order] = placed(shop, sku, 1)
        whole, part = order["total"]["amount"], order["total"]["amount"] // 7

        with Crowd(shop, REFUNDERS, who="staff") as crowd:
            part_back = {"amount": part, "reason": "a part of it"}
            answers = crowd.at_once(lambda client, _, n=order["number"], b=part_back: decide(client, n, "refunds", **b))

        told = Counter((answer.status, answer.json().get("code")) for answer in answers)
        assert told == {(201, None): whole // part, (409, "over_refund"): REFUNDERS - whole // part}, told
        assert kept(shop, order["number"]) == whole - part * (whole // part)
    print(f"{shop.vendor}: {REFUNDERS} refunds of {part} at once, of a payment of {whole}: {dict(told)}")
    books_balance()


def test_one_key_refunds_once_however_often_it_comes(shop, sku, books_balance):
    [order], key = placed(shop, sku, 1), secrets.token_hex(16)
    path, body = f"/api/v1/orders/{order['number']}/refunds/", {"amount": 100, "reason": "scratched"}

    with Crowd(shop, 20, who="staff") as crowd:
        answers = crowd.at_once(lambda client, _: insist(lambda: client.post(path, body, key=key)))

    assert {answer.status for answer in answers} == {201}
    assert len({answer.json()["refunds"][0]["id"] for answer in answers}) == 1
    assert kept(shop, order["number"]) == order["total"]["amount"] - 100
    books_balance()
