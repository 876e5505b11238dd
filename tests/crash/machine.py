"""The shop against its model: hypothesis thinks of what clients, staff and the bank may do, in any order.

Over HTTP, in one process, with the real bank. `python -m tests.crash machine FOLDER --examples 200 --steps 50`.
"""

import argparse
import json
import secrets
import time
import traceback
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orders import books
from orders.inventory import set_on_hand
from orders.models import Order, Product, Stock
from tests.crash import buyer, pipeline, rows, stage
from tests.crash.flow import call, order_body
from tests.crash.model import CARDS, Shop

PRICES = (990, 1490)
took: Counter[str] = Counter()  # how often each rule was followed


class Machine(RuleBasedStateMachine):
    house: stage.Stage
    keys = Bundle("keys")
    decided = Bundle("decided")  # path, body, key and answer of what staff have asked for

    @initialize(target=keys, units=st.tuples(st.integers(1, 6), st.integers(1, 6)), card=st.sampled_from(list(CARDS)))
    def open(self, units, card):
        """A shop with two products, and a first order: without one, most rules have nothing to begin with."""
        self.house.clear()
        self.model, self.numbers, self.asked = Shop(), {}, {}
        self.skus = [f"THING-{i}" for i in range(len(units))]
        for sku, price, count in zip(self.skus, PRICES, units, strict=True):
            buyer.product(sku, units=count, price=price)
            self.model.stock(sku, price, count)
        return self._check_out(dict.fromkeys(self.skus, 1), card)

    def teardown(self):
        took["examples"] += 1

    # -- clients ------------------------------------------------------------------------------

    @rule(
        target=keys,
        wanted=st.lists(st.integers(0, 3), min_size=2, max_size=2).filter(any),
        card=st.sampled_from(list(CARDS)),
    )
    def check_out(self, wanted, card):
        return self._check_out({sku: count for sku, count in zip(self.skus, wanted, strict=True) if count}, card)

    def _check_out(self, items, card):
        key = secrets.token_hex(12)
        self.asked[key] = order_body(f"{key}@example.com", list(items.items()), card)
        self._same(self._order(key), self.model.check_out(key, items, card), "check_out")
        return key

    @rule(key=keys)
    def repeat(self, key):
        self._same(self._order(key), self.model.repeat(key), "repeat")

    @rule(key=keys)
    def ask_for_something_else(self, key):
        other = {**self.asked[key], "email": "other@example.com"}
        self._same(call("/api/v1/orders/", other, key=key), 422, "ask_for_something_else")

    def _order(self, key):
        answer = call("/api/v1/orders/", self.asked[key], key=key)
        number = (answer["body"] or {}).get("number") or (answer["body"] or {}).get("order")
        if number:
            assert self.numbers.setdefault(key, number) == number, "one key, two orders"
        return answer

    # -- staff --------------------------------------------------------------------------------

    @rule(target=decided, key=keys)
    def cancel(self, key):
        return self._decide(key, "cancel", {"reason": "second thoughts"}, lambda: self.model.cancel(key))

    @rule(target=decided, key=keys, amount=st.sampled_from([1, 490, 990, 1480, 2960]))
    def refund_amount(self, key, amount):
        asked = {"amount": amount, "reason": "broken"}
        return self._decide(key, "refunds", asked, lambda: self.model.refund_amount(key, amount))

    @rule(target=decided, key=keys, i=st.integers(0, 1), count=st.integers(1, 3), restock=st.booleans())
    def refund_units(self, key, i, count, restock):
        if key not in self.numbers or self.skus[i] not in self.model.orders[key].lines:
            return None
        asked = {"lines": [{"sku": self.skus[i], "quantity": count}], "restock": restock, "reason": "broken"}
        return self._decide(key, "refunds", asked, lambda: self.model.refund_units(key, self.skus[i], count, restock))

    @rule(target=decided, key=keys)
    def ship_all(self, key):
        return self._decide(key, "shipments", {"carrier": "Postbus"}, lambda: self.model.ship(key))

    @rule(target=decided, key=keys, i=st.integers(0, 1), count=st.integers(1, 2))
    def ship_some(self, key, i, count):
        if key not in self.numbers or self.skus[i] not in self.model.orders[key].lines:
            return None
        asked = {"carrier": "Postbus", "lines": [{"sku": self.skus[i], "quantity": count}]}
        return self._decide(key, "shipments", asked, lambda: self.model.ship(key, self.skus[i], count))

    @rule(one=decided)
    def decide_again(self, one):
        """The same request under the same key: the same answer, and nothing is done twice."""
        if one is not None:
            path, asked, name, told = one
            again = call(path, asked, key=name, who=rows.STAFF)
            assert (again["status"], again["body"]) == (told["status"], told["body"])
            took["decide_again"] += 1

    def _decide(self, key, what, asked, expect):
        if key not in self.numbers:
            return None  # sold out or refused: there is no order
        path, name = f"/api/v1/orders/{self.numbers[key]}/{what}/", secrets.token_hex(12)
        told = call(path, asked, key=name, who=rows.STAFF)
        self._same(told, expect(), what)
        return path, asked, name, told

    @precondition(lambda self: min(self.model.available.values()) < 2)
    @rule(i=st.integers(0, 1), more=st.integers(1, 3))
    def restock(self, i, more):
        self.model.stock(self.skus[i], PRICES[i], more)
        there = Stock.objects.get(product__sku=self.skus[i])
        product = Product.objects.get(sku=self.skus[i])
        set_on_hand(product=product, on_hand=there.on_hand + more, note="delivery")
        took["restock"] += 1

    # -- the bank, and time ---------------------------------------------------------------------

    @precondition(lambda self: any(order.charged for order in self.model.orders.values()))
    @rule(copies=st.integers(1, 3), backwards=st.booleans())
    def the_bank_tells_everything(self, copies, backwards):
        """All it has ever said of this shop, once more or thrice, in order or not."""
        if any(order.status == "placed" for order in self.model.orders.values()):
            time.sleep(2 * stage.LATE)  # until a bank that has lost its voice for a while has found it
        told = [letter["body"] for letter in self.house.events()]
        for body in (told[::-1] if backwards else told) * copies:
            buyer.bring_event({"body": body}, say=lambda answer: self._same(answer, 200, "event"))
        self.model.hear_from_bank()

    @precondition(lambda self: self.model.orders)
    @rule()
    def time_passes(self):
        rows.make_older(5)
        pipeline.relay_round(0.0)
        self.model.hear_from_bank()
        took["time_passes"] += 1

    # -- always -------------------------------------------------------------------------------

    @invariant()
    def shelves_and_orders_are_as_the_model_says(self):
        there = {
            stock.product.sku: stock.available
            for stock in Stock.objects.filter(product__sku__in=self.skus).select_related("product")
        }
        assert there == self.model.available
        orders = dict(Order.objects.filter(number__in=self.numbers.values()).values_list("number", "status"))
        assert orders == {self.numbers[key]: order.status for key, order in self.model.orders.items()}

    @invariant()
    def the_bank_has_what_the_model_says(self):
        ledger = books.read_ledger()
        for key, order in self.model.orders.items():
            references = [
                str(pk) for pk in Order.objects.get(number=self.numbers[key]).attempts.values_list("pk", flat=True)
            ]
            taken = sum(amount for one in references for amount, _ in ledger.charged.get(one, ()))
            assert (taken, sum(map(ledger.kept, references))) == (order.charged, order.left), key

    @invariant()
    def the_books_balance(self):
        wrong = [(check.id, check.examples) for check in books.invariants() if check.violations]
        assert not wrong

    def _same(self, answer, expected, rule):
        took[rule] += 1
        assert answer["status"] == expected, f"{rule}: the model says {expected}, the shop {answer}"


def main(house: stage.Stage, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash machine FOLDER", description=__doc__)
    parser.add_argument("--examples", type=int, default=15)
    parser.add_argument("--steps", type=int, default=15)
    given = parser.parse_args(arguments)
    Machine.house = house
    facts: dict[str, Any] = {"wrong": ""}
    try:
        run_state_machine_as_test(Machine, settings=_settings(given))
    except Exception:
        facts["wrong"] = traceback.format_exc()
        print(facts["wrong"])
    print(", ".join(f"{name} {count}" for name, count in sorted(took.items())))
    print(json.dumps({**facts, "took": took}))
    return int(bool(facts["wrong"]))


def _settings(given):
    return settings(
        max_examples=given.examples,
        stateful_step_count=given.steps,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
