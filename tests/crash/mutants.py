"""Broken designs, each as a patch of the actors: what many shops do. The worlds must catch every one of them.

A mutant is applied in the forked processes only; keeper, books and judgement stay honest.
"""

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.db.models import F
from django.utils import timezone

from notifications.pipeline import clock
from orders import checkout, intake, inventory, payments
from orders.api import placing
from orders.checkout import Declined
from orders.gateways import stripe, stripe_client
from orders.gateways.base import Charge, Outcome, Status
from orders.gateways.transport import TimedClient
from orders.inventory import Shortage
from orders.models import Order, PaymentAttempt, Stock
from tests.crash import world_parts
from tests.crash.stage import Stage, nothing
from tests.crash.worlds import Tally, play

WITHIN = 60  # worlds
THINKING = 0.02  # seconds between a read and the write that believes it
HOLDS_LAST = timedelta(seconds=10)


# -- 1 ------------------------------------------------------------------------------------------


def charge_before_any_row() -> None:
    """Pay first, write the order when the money is there."""
    place, charge = checkout._place, stripe.charge
    outcomes: list[Outcome] = []

    def charge_and_place(priced, buyer, payment_method, *rest):
        asked = Charge(
            reference=str(uuid4()),
            amount=priced.total,
            currency=priced.currency,
            payment_method=payment_method,
            order_number="",
            email=buyer.email,
            started_at=timezone.now(),
        )
        outcomes.append(charge(asked))
        PaymentAttempt._meta.get_field("id")._get_default = lambda: asked.reference
        return place(priced, buyer, payment_method, *rest)

    checkout._place = charge_and_place
    stripe.charge = lambda asked: outcomes.pop() if outcomes else charge(asked)


# -- 2 ------------------------------------------------------------------------------------------


def one_transaction_across_the_call() -> None:
    """Order, charge and settlement in one transaction: all or nothing, except for the money."""
    place_order = checkout.place_order

    def place_in_one(**asked):
        whole = transaction.atomic()
        whole._from_testcase = True  # lets the inner, durable ones be parts of it
        with whole:
            try:
                result = place_order(**asked)
            except Declined as refusal:
                result = refusal
        if isinstance(result, Declined):
            raise result
        return result

    placing.place_order = place_in_one
    stripe_client.connection = SimpleNamespace(in_atomic_block=False)


# -- 3 ------------------------------------------------------------------------------------------


def silence_means_failed() -> None:
    """A time-out or a 5xx of the bank is taken for a refusal."""
    charge = stripe.charge

    def charge_or_fail(asked):
        outcome = charge(asked)
        unknown = outcome.status is Status.UNKNOWN
        return replace(outcome, status=Status.DECLINED, code="timeout") if unknown else outcome

    stripe.charge = charge_or_fail


# -- 4 ------------------------------------------------------------------------------------------


def fresh_key_for_each_try() -> None:
    """Every request to the bank has a key of its own."""
    request = TimedClient.request

    def request_with_new_key(self, method, url, headers, *args, **options):
        fresh = {"Idempotency-Key": str(uuid4())} if "Idempotency-Key" in (headers or {}) else {}
        return request(self, method, url, {**(headers or {}), **fresh}, *args, **options)

    TimedClient.request = request_with_new_key


# -- 5 ------------------------------------------------------------------------------------------


def read_then_write_stock() -> None:
    """The count is read with the cart, and what was read is believed when the order is written."""
    quote, seen = checkout.quote, {}

    def quote_and_look(items, *args, **options):
        priced = quote(items, *args, **options)
        seen.update({row.product_id: row.available for row in Stock.objects.all()})
        time.sleep(THINKING)
        return priced

    def reserve(product, quantity):
        left = seen.get(product.pk, 0)
        if left < quantity:
            return Shortage(sku=product.sku, wanted=quantity, available=left)
        Stock.objects.filter(product=product).update(reserved=F("reserved") + quantity)
        return None

    checkout.quote, inventory._reserve = quote_and_look, reserve


def unguarded_stock() -> None:
    """The same, in a database that lets it."""
    read_then_write_stock()
    if connection.vendor == "sqlite":
        connection_created.connect(_without_checks, weak=False)


def _without_checks(connection: Any, **_: Any) -> None:
    connection.cursor().execute("PRAGMA ignore_check_constraints = ON")


def drop_stock_checks() -> None:
    """PostgreSQL knows no such switch: the constraints go."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, Stock._meta.db_table)
            for name in [name for name, facts in found.items() if facts["check"]]:
                cursor.execute(f'ALTER TABLE {Stock._meta.db_table} DROP CONSTRAINT "{name}"')


# -- 6 ------------------------------------------------------------------------------------------


def webhook_without_guards() -> None:
    """Whatever the bank tells is done, each time it is told."""

    def receive(*, body, signature):
        told = stripe.told(stripe.verified(body, signature, settings.STRIPE_WEBHOOK_SECRETS))
        attempt = PaymentAttempt.objects.filter(pk=told.reference).first() if told.reference else None
        if attempt is not None and told.type == "payment_intent.succeeded":
            with transaction.atomic():
                _sell_again(attempt, told.outcome)
        return True

    intake.receive = receive


def _sell_again(attempt: PaymentAttempt, outcome: Outcome) -> None:
    now = timezone.now()
    taken = {"captured": outcome.amount, "captured_currency": outcome.currency, "gateway_id": outcome.gateway_id}
    PaymentAttempt.objects.filter(pk=attempt.pk).update(state="succeeded", finished_at=now, **taken)
    Order.objects.filter(pk=attempt.order_id).update(status=Order.Status.PAID, paid_at=now)
    for line in attempt.order.lines.order_by("product_id"):
        Stock.objects.filter(product=line.product_id).update(on_hand=F("on_hand") - line.quantity)


# -- 7 ------------------------------------------------------------------------------------------


def holds_that_run_out() -> None:
    """Who has not paid in time loses the goods, whatever the bank is doing."""
    tick = clock.tick

    def tick_and_release(now):
        tick(now)
        for attempt in PaymentAttempt.objects.open().filter(started_at__lt=timezone.now() - HOLDS_LAST):
            with transaction.atomic():
                _expire(attempt)

    clock.tick = tick_and_release


def _expire(attempt: PaymentAttempt) -> None:
    order = Order.objects.select_for_update().get(pk=attempt.order_id)
    mine = PaymentAttempt.objects.select_for_update().get(pk=attempt.pk)
    if mine.state in PaymentAttempt.OPEN:
        mine.order = order
        nothing_said = Outcome(status=Status.CANCELLED, gateway_id=None, amount=None, currency=None)
        payments._end(mine, PaymentAttempt.State.EXPIRED, nothing_said, code="expired")
        payments._lose(order, mine, to=Order.Status.EXPIRED)


# -- all of them --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    name: str
    patch: Callable[[], None]
    needs: Callable[[], None] = nothing  # done once to the database


# The last one breaks the database for good.
MUTANTS = (
    Mutant("charge before any row", charge_before_any_row),
    Mutant("one transaction held across the call", one_transaction_across_the_call),
    Mutant("time-out or 5xx means failed", silence_means_failed),
    Mutant("fresh gateway key for each try", fresh_key_for_each_try),
    Mutant("webhook without dedupe or state guard", webhook_without_guards),
    Mutant("holds released blindly after a while", holds_that_run_out),
    Mutant("stock read, then written, CHECKs off", unguarded_stock, needs=drop_stock_checks),
)
GUARDED = Mutant("stock read, then written, CHECKs on", read_then_write_stock)


def main(stage: Stage, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash mutants FOLDER", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the first world")
    parser.add_argument("--mutant", type=int, action="append", help="only this one, from 1")
    parser.add_argument("--guarded", type=int, default=10, help="worlds of read-then-write stock against the CHECKs")
    given = parser.parse_args(arguments)
    counts = world_parts.counted(stage)
    guarded = _hunted(stage, GUARDED, given.seed, counts, worlds=given.guarded, until_caught=False)
    chosen = [MUTANTS[i - 1] for i in given.mutant] if given.mutant else MUTANTS
    caught = [_hunted(stage, mutant, given.seed, counts, worlds=WITHIN) for mutant in chosen]
    for one in [*caught, guarded]:
        print(f"{one['mutant']:40} world {one['world'] or '-':>3} of {one['worlds']}: {one['first']}")
    print(json.dumps({"seed": given.seed, "caught": caught, "guarded": guarded}))
    return int(not all(one["world"] for one in caught))


def _hunted(stage, mutant, seed, counts, *, worlds, until_caught=True):
    """In which world the mutant was caught, and by what; `all` is every violation that was found."""
    stage.ask(mutant.needs)
    stage.play_worlds(mutant.patch)
    tally, caught, wrong = Tally(seed), 0, []
    for n in range(1, worlds + 1):
        found = play(stage, seed + n - 1, counts, tally)
        wrong += found
        caught = caught or (n if found else 0)
        if caught and until_caught:
            break
    first = wrong[0][:200] if wrong else "no violation"
    return {"mutant": mutant.name, "world": caught, "worlds": tally.worlds, "first": first, "all": wrong}
