"""What was taken, what was given back, and that both are what our rows say."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta

from django.db.models import F, Sum
from django.utils import timezone

from orders.books.ledger import Ledger, ledger_file
from orders.models import Order, OrderLine, PaymentAttempt, Refund

SETTLING = timedelta(seconds=60)  # what is younger may still be on its way between two transactions
State = PaymentAttempt.State


def charges_have_orders(ledger: Ledger) -> Iterator[str]:
    attempts = {str(a.pk): a for a in PaymentAttempt.objects.select_related("order")}
    for reference in ledger.charged:
        attempt = attempts.get(reference)
        if not ledger.kept(reference):
            continue
        if attempt is None:
            yield f"charge {reference}: no payment attempt of ours"
        elif not _is_accounted_for(attempt, ledger.kept(reference)):
            yield f"{attempt.order}: the bank has the money, the order is {attempt.order.status}"


def _is_accounted_for(attempt: PaymentAttempt, kept: int) -> bool:
    """The order was sold for it, or the money is on its way back, or a young payment is still being settled.

    A refund that the gateway would not do is on its way too: it waits for a person, under "Needs attention".
    """
    if attempt.state in (*PaymentAttempt.OPEN, State.AUTHORIZED):
        return attempt.started_at > timezone.now() - SETTLING
    unsold = attempt.order.paid_at is None or attempt.order.status == Order.Status.CANCELLED
    if unsold or attempt.state != State.SUCCEEDED:
        return _on_its_way_back(attempt) == kept
    return True


def _on_its_way_back(attempt: PaymentAttempt) -> int:
    waiting = sum(refund.amount for refund in attempt.refunds.open())
    # Asked for twice and refused twice, it is still owed once.
    lost = sum(refund.amount for refund in attempt.refunds.lost())
    return waiting + min(lost, attempt.captured - attempt.refunded)


def one_charge_each(ledger: Ledger) -> Iterator[str]:
    ours = {str(attempt.pk): attempt for attempt in PaymentAttempt.objects.select_related("order")}
    per_order: dict[str, int] = defaultdict(int)
    for reference, charges in ledger.charged.items():
        if not ledger.kept(reference):
            continue
        attempt = ours.get(reference)
        if len(charges) > 1:
            yield f"{attempt.order if attempt else reference}: {len(charges)} charges under one reference"
        # What an edit added to an order is a payment of its own.
        if attempt and attempt.purpose == PaymentAttempt.Purpose.ORDER:
            per_order[attempt.order.number] += 1
    yield from (f"{number}: {count} charges kept" for number, count in per_order.items() if count > 1)


def amounts_agree(ledger: Ledger) -> Iterator[str]:
    lines = dict(OrderLine.objects.values_list("order").annotate(sum=Sum("total")))
    for order in Order.objects.prefetch_related("attempts", "edits"):
        if lines.get(order.pk) != order.subtotal:
            yield f"{order}: lines sum to {lines.get(order.pk)}, subtotal says {order.subtotal}"
        asked = sum(attempt.amount for attempt in order.attempts.all() if attempt.purpose == "order")
        edited = sum(edit.difference for edit in order.edits.all() if edit.state == "applied")
        if asked + edited != order.total:
            yield f"{order}: {asked} asked for and {edited} by edits, total {order.total}"
    for attempt in PaymentAttempt.objects.select_related("order"):
        yield from _bank_agrees(attempt, ledger)


def _bank_agrees(attempt: PaymentAttempt, ledger: Ledger) -> Iterator[str]:
    if attempt.currency != attempt.order.currency:
        yield f"{attempt.order}: payment in {attempt.currency}, order in {attempt.order.currency}"
    if attempt.state == State.SUCCEEDED and attempt.captured != attempt.amount and not attempt.refunded:
        yield f"{attempt.order}: {attempt.captured} taken, {attempt.amount} agreed"
    for amount, currency in ledger.charged.get(str(attempt.pk), []):
        if attempt.state in (*PaymentAttempt.OPEN, State.AUTHORIZED):
            continue  # what came is not written down yet: the first invariant watches for how long
        if (amount, currency) != (attempt.captured, attempt.captured_currency):
            yield f"{attempt.order}: the bank took {amount} {currency}, our books say {attempt.captured}"


def paid_means_charged(ledger: Ledger) -> Iterator[str]:
    good = (State.SUCCEEDED, State.AUTHORIZED)
    for order in Order.objects.filter(paid_at__isnull=False).prefetch_related("attempts"):
        if order.status in (Order.Status.CANCELLED, Order.Status.EXPIRED):
            continue
        won = [a for a in order.attempts.all() if a.state in good and a.purpose == PaymentAttempt.Purpose.ORDER]
        if len(won) != 1:
            yield f"{order} is {order.status} with {len(won)} successful attempts"
        elif won[0].state == State.SUCCEEDED and ledger_file().exists() and str(won[0].pk) not in ledger.charged:
            yield f"{order} is {order.status}, but the bank knows no charge"


def refunds_within_captured(ledger: Ledger) -> Iterator[str]:
    counted = dict(Refund.objects.exclude(state=Refund.State.FAILED).values_list("attempt").annotate(sum=Sum("amount")))
    for attempt in PaymentAttempt.objects.select_related("order"):
        if attempt.refunded != counted.get(attempt.pk, 0):
            yield f"{attempt.order}: refunds of {counted.get(attempt.pk, 0)}, the payment counts {attempt.refunded}"
        if ledger.refunded.get(str(attempt.pk), 0) > attempt.captured and attempt.finished_at:
            yield f"{attempt.order}: the bank gave back {ledger.refunded[str(attempt.pk)]} of {attempt.captured}"
    for attempt in PaymentAttempt.objects.filter(refunded__gt=F("captured")).select_related("order"):
        yield f"{attempt.order}: {attempt.refunded} given back of {attempt.captured}"
    yield from _withdrawn_units_not_given_back()
    yield from _refunds_at_the_bank(ledger)


def _withdrawn_units_not_given_back() -> Iterator[str]:
    """A unit that was taken out of an order was given back for, or is owed: it waits in a refund that failed.

    An order that was called off as a whole gives back an amount, not units.
    """
    owed, of_returns = _units_of_refunds()
    lines = OrderLine.objects.filter(cancelled__gt=0).select_related("order")
    for line in lines.exclude(order__status__in=[Order.Status.CANCELLED, Order.Status.EXPIRED]):
        of_line = line.order_id, line.sku
        given = line.refunded - of_returns[of_line] + owed[of_line]
        if line.cancelled > given:
            yield f"{line.order}: {line.cancelled} {line.sku} taken out, {max(given, 0)} given back for or owed"
    for order in Order.objects.filter(status=Order.Status.CANCELLED).prefetch_related("attempts"):
        left = sum(attempt.captured - attempt.refunded for attempt in order.attempts.all())
        if left and left > sum(refund.amount for refund in order.refunds.lost()):
            yield f"{order} is cancelled, and {left} of its money is neither given back nor owed"


def _units_of_refunds() -> tuple[Counter[tuple[int, str]], Counter[tuple[int, str]]]:
    """By order and SKU: units taken out whose refund failed and was not repeated, and units given back as returns."""
    owed: Counter[tuple[int, str]] = Counter()
    of_returns: Counter[tuple[int, str]] = Counter()
    repeatable: Counter[tuple[int, str]] = Counter()
    for refund in Refund.objects.exclude(lines=[]).order_by("created_at", "pk"):
        failed, same = refund.state == Refund.State.FAILED, (refund.order_id, json.dumps(refund.lines))
        repeats = not failed and repeatable[same] > 0
        repeatable[same] += failed - repeats
        for sku, count in refund.lines:
            owed[refund.order_id, sku] += count * (failed - repeats)
            if refund.cause == Refund.Cause.RETURN and not failed:
                of_returns[refund.order_id, sku] += count
    return owed, of_returns


def _refunds_at_the_bank(ledger: Ledger) -> Iterator[str]:
    for key, made in ledger.refunds.items():
        if len({id for id, _ in made}) > 1:
            yield f"refund {key}: given back {len(made)} times"
    if not ledger_file().exists():
        return
    # The gateway may say done while its own bank is still at it.
    settled = Refund.objects.filter(state=Refund.State.DONE, finished_at__lt=timezone.now() - SETTLING)
    ours = settled.exclude(cause=Refund.Cause.GATEWAY).select_related("order")
    for refund in ours:
        if refund.amount not in [amount for _, amount in ledger.refunds.get(str(refund.pk), [])]:
            yield f"{refund.order}: {refund.amount} given back by our books, the bank says otherwise"
