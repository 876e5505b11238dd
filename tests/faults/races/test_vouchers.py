"""Fifty use a voucher that counts five times: five pay less, the others are told, and nobody pays for nothing."""

import secrets
import subprocess
import sys
from collections import Counter

from tests.faults.crowd import Crowd, insist
from tests.faults.shelf import new_products
from tests.journeys import tables
from tests.rig import CHECKOUT

BUYERS, LIMIT, OFF = 50, 5, 400
MAKE = """
from orders.models import Voucher
Voucher.objects.create(code={code!r}, kind="amount", value={off}, currency="EUR", most={limit})
"""


def new_voucher(shop):
    code = f"FIVE{secrets.token_hex(4).upper()}"
    argv = [sys.executable, "manage.py", "shell", "-c", MAKE.format(code=code, off=OFF, limit=LIMIT)]
    subprocess.run(argv, cwd=CHECKOUT, env=shop.environment(), check=True, capture_output=True, timeout=120)
    return code


def test_fifty_uses_of_a_voucher_for_five_are_five(shop, rounds, books_balance):
    for _ in range(rounds(normal=1, full=30)):
        code, [sku] = new_voucher(shop), new_products(shop, f"VOUCHER{secrets.token_hex(3)}", 1, 1_000)
        before = len(tables.taken(shop))

        with Crowd(shop, BUYERS) as crowd:
            answers = crowd.at_once(lambda client, _, s=sku, c=code: buy(client, s, c))

        told = Counter((answer.status, answer.json().get("code")) for answer in answers)
        assert told == {(201, None): LIMIT, (400, "invalid"): BUYERS - LIMIT}
        orders = [answer.json() for answer in answers if answer.status == 201]
        assert {order["discount"]["amount"] for order in orders} == {OFF}
        charged = tables.taken(shop)[before:]
        assert sorted(c["amount"] for c in charged) == sorted(order["total"]["amount"] for order in orders)
        assert tables.rows(shop, "SELECT uses FROM orders_voucher WHERE code = %s", code) == [(LIMIT,)]
    print(f"{shop.vendor}: {BUYERS} at once use a voucher for {LIMIT}: {len(orders)} pay less, {len(charged)} charged")
    books_balance()


def buy(client, sku, code):
    key = secrets.token_hex(16)
    return insist(lambda: client.order(sku=sku, key=key, voucher=code))
