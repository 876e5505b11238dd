"""Do the books balance? The invariants, as queries over our rows and the bank's own ledger.

The ids are stable names for checks outside: I1 to I9 and I12.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.utils import timezone

from notifications.models import Delivery, Event
from notifications.pipeline.events import declared, subscriptions
from orders import recovery
from orders.models import IdempotencyKey, Order, OrderLine, PaymentAttempt, Stock, StockHold, StockMovement

EXAMPLES = 5  # of each violation: enough to start looking
SETTLING = timedelta(seconds=60)  # what is younger may still be on its way between two transactions

SWEPT_WITHIN = timedelta(minutes=3)  # the sweep comes once a minute

PAID = (
    Order.Status.PAID,
    Order.Status.PARTLY_SHIPPED,
    Order.Status.SHIPPED,
    Order.Status.COMPLETED,
    Order.Status.REFUNDED,
    Order.Status.REFUND_DUE,
)


@dataclass(frozen=True, kw_only=True)
class Invariant:
    id: str
    title: str
    violations: int
    examples: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The bank's own record, by our reference: what it took, and what it gave back. Minor units."""

    charged: dict[str, list[tuple[int, str]]]
    refunded: dict[str, int]

    def kept(self, reference: str) -> int:
        return sum(amount for amount, _ in self.charged.get(reference, [])) - self.refunded.get(reference, 0)


def ledger_file() -> Path:
    return Path(settings.WAYBILL_DATA) / "bank.jsonl"


def read_ledger() -> Ledger:
    """The bank's ledger file; an empty one when this shop has no local bank."""
    charged: dict[str, list[tuple[int, str]]] = defaultdict(list)
    refunded: dict[str, int] = defaultdict(int)
    for line in _ledger_lines():
        if line["status"] != "succeeded":
            continue
        if line["kind"] == "charge":
            charged[line["reference"]].append((line["amount"], line["currency"].upper()))
        elif line["kind"] == "refund":
            refunded[line["reference"]] += line["amount"]
    return Ledger(charged=charged, refunded=refunded)


def _ledger_lines() -> Iterator[dict[str, Any]]:
    if not ledger_file().exists():
        return
    with ledger_file().open() as lines:
        for line in lines:
            if line.endswith("\n"):  # a last line without one is still being written
                yield json.loads(line)


def invariants() -> list[Invariant]:
    """Check everything. An empty `violations` everywhere means: the books balance."""
    ledger = read_ledger()
    return [_checked(id, title, check(ledger)) for id, title, check in _CHECKS]


def _checked(id: str, title: str, found: Iterator[str]) -> Invariant:
    violations = list(found)
    return Invariant(id=id, title=title, violations=len(violations), examples=violations[:EXAMPLES])


def _charges_have_orders(ledger: Ledger) -> Iterator[str]:
    attempts = {str(a.pk): a for a in PaymentAttempt.objects.select_related("order")}
    for reference in ledger.charged:
        attempt = attempts.get(reference)
        if attempt is None:
            if ledger.kept(reference):
                yield f"charge {reference}: no payment attempt of ours"
        elif ledger.kept(reference) and not _counts_as_paid(attempt):
            yield f"{attempt.order}: the bank has the money, the order is {attempt.order.status}"


def _counts_as_paid(attempt: PaymentAttempt) -> bool:
    open_still = attempt.state in PaymentAttempt.OPEN and attempt.started_at > timezone.now() - SETTLING
    return open_still or (attempt.state == PaymentAttempt.State.SUCCEEDED and attempt.order.status in PAID)


def _one_charge_each(ledger: Ledger) -> Iterator[str]:
    orders = dict(PaymentAttempt.objects.values_list("pk", "order__number"))
    names = {str(pk): number for pk, number in orders.items()}
    per_order: dict[str, int] = defaultdict(int)
    for reference, charges in ledger.charged.items():
        if ledger.kept(reference):
            per_order[names.get(reference, reference)] += len(charges)
    yield from (f"{number}: {count} charges kept" for number, count in per_order.items() if count > 1)


def _amounts_agree(ledger: Ledger) -> Iterator[str]:
    lines = dict(OrderLine.objects.values_list("order").annotate(sum=Sum("total")))
    for order in Order.objects.all():
        if lines.get(order.pk) != order.subtotal:
            yield f"{order}: lines sum to {lines.get(order.pk)}, subtotal says {order.subtotal}"
    for attempt in PaymentAttempt.objects.select_related("order"):
        if (attempt.amount, attempt.currency) != (attempt.order.total, attempt.order.currency):
            yield f"{attempt.order}: attempt {attempt.amount} {attempt.currency}, total {attempt.order.total}"
        for charge in ledger.charged.get(str(attempt.pk), []):
            if charge != (attempt.amount, attempt.currency):
                yield f"{attempt.order}: the bank charged {charge[0]} {charge[1]}, agreed were {attempt.amount}"


def _stock_adds_up(_: Ledger) -> Iterator[str]:
    moved = dict(StockMovement.objects.values_list("product").annotate(sum=Sum("quantity")))
    held = dict(StockHold.objects.held().values_list("product").annotate(sum=Sum("quantity")))
    for stock in Stock.objects.select_related("product"):
        if stock.on_hand != moved.get(stock.product_id, 0):
            yield f"{stock.product.sku}: {stock.on_hand} on hand, movements say {moved.get(stock.product_id, 0)}"
        if stock.reserved != held.get(stock.product_id, 0):
            yield f"{stock.product.sku}: {stock.reserved} reserved, holds say {held.get(stock.product_id, 0)}"
    sale = StockMovement.objects.filter(
        order=OuterRef("order"), product=OuterRef("product"), quantity=0 - OuterRef("quantity")
    )
    for line in OrderLine.objects.filter(~Exists(sale), order__status__in=PAID).select_related("order"):
        yield f"{line.order}: {line.quantity} {line.sku} paid, but not taken from stock"


def _holds_have_reasons(_: Ledger) -> Iterator[str]:
    stale = StockHold.objects.held().exclude(
        Q(order__status=Order.Status.PLACED)
        & (Q(order__attempts__state__in=PaymentAttempt.OPEN) | Q(expires_at__gt=timezone.now()))
    )
    for hold in stale.select_related("order", "product"):
        yield f"{hold.order} ({hold.order.status}) still holds {hold.quantity} {hold.product.sku}"


def _paid_means_charged(ledger: Ledger) -> Iterator[str]:
    for order in Order.objects.filter(status__in=PAID).prefetch_related("attempts"):
        won = [a for a in order.attempts.all() if a.state == PaymentAttempt.State.SUCCEEDED]
        if len(won) != 1:
            yield f"{order} is {order.status} with {len(won)} successful attempts"
        elif ledger_file().exists() and str(won[0].pk) not in ledger.charged:
            yield f"{order} is {order.status}, but the bank knows no charge"


def _one_event_per_change(_: Ledger) -> Iterator[str]:
    told = {
        (event["subject"], event["name"]): event["n"]
        for event in Event.objects.filter(subject__startswith="order:")
        .values("subject", "name")
        .annotate(n=Count("pk"))
    }
    for order in Order.objects.all():
        for name, happened in _facts_of(order):
            count = told.get((f"order:{order.pk}", name), 0)
            if count != happened:
                yield f"{order} ({order.status}): {count} × {name}, expected {int(happened)}"


def _facts_of(order: Order) -> Iterator[tuple[str, bool]]:
    yield "order.placed", True
    yield "payment.received", order.status in PAID
    yield "payment.failed", order.status in (Order.Status.DECLINED, Order.Status.EXPIRED)


def _every_handler_once(_: Ledger) -> Iterator[str]:
    """An event that handlers wait for has deliveries, and none of them is overdue or lost. One handler's missing
    delivery is no violation: that handler may be younger than the event."""
    expected = defaultdict(set)
    for handler, subscription in subscriptions.items():
        if subscription.when is None:
            expected[subscription.event.name].add(handler)
    for event in Event.objects.filter(name__in=declared).prefetch_related("deliveries"):
        there = {delivery.handler for delivery in event.deliveries.all()}
        if expected[event.name] and not there:
            yield f"{event} #{event.pk}: no delivery at all"
    overdue = Delivery.objects.filter(state="ready", available_at__lt=timezone.now() - SETTLING)
    yield from (f"{row} has waited since {row.available_at:%H:%M:%S}" for row in overdue)
    lost = Delivery.objects.running().filter(lease_until__lt=timezone.now() - SETTLING)
    yield from (f"{row} has been running past its lease" for row in lost)


def _one_answer_per_key(_: Ledger) -> Iterator[str]:
    keys = IdempotencyKey.objects.filter(status_code=201).select_related("order")
    for key in keys:
        if key.order is None or key.order.status not in PAID:
            yield f"{key}: answered 201, but the order is {key.order.status if key.order else 'missing'}"
    for key in IdempotencyKey.objects.filter(status_code=402).select_related("order"):
        if key.order is not None and key.order.status in PAID:
            yield f"{key}: answered 402, but {key.order} is paid"


def _open_payments_are_asked_about(_: Ledger) -> Iterator[str]:
    for attempt in recovery.forgotten():
        if attempt.started_at < timezone.now() - SWEPT_WITHIN:
            yield f"{attempt.order}: payment {attempt.state} since {attempt.started_at:%H:%M:%S}, and nobody asks"


_CHECKS: Sequence[tuple[str, str, Callable[[Ledger], Iterator[str]]]] = (
    ("I1", "Money the bank keeps belongs to a paid order", _charges_have_orders),
    ("I2", "No order is charged twice", _one_charge_each),
    ("I3", "Bank, attempt and order agree on the amount", _amounts_agree),
    ("I4", "Stock equals its movements, reservations equal their holds", _stock_adds_up),
    ("I5", "Only an order in payment holds stock", _holds_have_reasons),
    ("I6", "A paid order has its charge", _paid_means_charged),
    ("I7", "Each change told its event once", _one_event_per_change),
    ("I8", "Every event reached its handlers", _every_handler_once),
    ("I9", "A final answer is still true", _one_answer_per_key),
    ("I12", "Every open payment is being asked about", _open_payments_are_asked_about),
)
