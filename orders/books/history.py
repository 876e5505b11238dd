"""What was told, to whom, and that it is still true."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Q
from django.utils import timezone

from notifications.models import Delivery, Event, Letter
from notifications.pipeline import lease, ordering
from notifications.pipeline.events import declared, subject_of, subscriptions
from notifications.pipeline.models import waits_its_turn
from notifications.pipeline.retention import CLOCK_KEPT, KEPT
from orders import recovery, repayment
from orders.books.ledger import Ledger
from orders.books.money import SETTLING
from orders.models import IdempotencyKey, Order, PaymentAttempt, Refund, Shipment, StatusChange
from orders.status import FROM

SWEPT_WITHIN = timedelta(minutes=3)  # the sweep comes once a minute
S = Order.Status


def one_event_per_change(_: Ledger) -> Iterator[str]:
    mine = Event.objects.filter(subject__startswith="order:").values("subject", "name")
    told = {(event["subject"], event["name"]): event["n"] for event in mine.annotate(n=Count("pk"))}
    parcels = _counts(Shipment.objects.all())
    given_back = _counts(Refund.objects.filter(state=Refund.State.DONE))
    for order in Order.objects.prefetch_related("status_changes", "attempts"):
        expected = {**_facts_of(order), "order.shipped": parcels.get(order.pk, 0)}
        for name, happened in expected.items():
            count = told.get((subject_of(order), name), 0)
            if count != happened:
                yield f"{order} ({order.status}): {count} × {name}, expected {happened}"
        # A refund that failed after it was done was told of, too.
        if told.get((subject_of(order), "payment.refunded"), 0) < given_back.get(order.pk, 0):
            yield f"{order}: {given_back[order.pk]} refunds done, not all of them told"


def _counts(rows: "object") -> Mapping[int, int]:
    return dict(rows.values_list("order").annotate(n=Count("pk")))  # type: ignore[attr-defined]


def _facts_of(order: Order) -> dict[str, int]:
    to = [change.to_status for change in order.status_changes.all()]
    first = [attempt for attempt in order.attempts.all() if attempt.purpose == PaymentAttempt.Purpose.ORDER]
    captured = sum(attempt.state == PaymentAttempt.State.SUCCEEDED for attempt in first)
    return {
        "order.placed": 1,
        "payment.received": captured if order.paid_at else 0,
        "payment.failed": to.count(S.DECLINED) + to.count(S.EXPIRED),
        "order.cancelled": to.count(S.CANCELLED),
    }


def histories_lead_here(_: Ledger) -> Iterator[str]:
    changes: dict[int, list[StatusChange]] = defaultdict(list)
    for change in StatusChange.objects.order_by("pk"):
        changes[change.order_id].append(change)
    for order in Order.objects.all():
        at = ""
        for change in changes[order.pk]:
            allowed = (
                change.from_status in FROM[change.to_status] if change.from_status else change.to_status == S.PLACED
            )
            if change.from_status != at or not allowed:
                yield f"{order}: {change} after {at or 'nothing'}"
            at = change.to_status
        if at != order.status:
            yield f"{order}: the history ends at {at or 'nothing'}, the order is {order.status}"


def every_handler_once(_: Ledger) -> Iterator[str]:
    """An event that handlers wait for has deliveries, and none of them is overdue or lost. One handler's missing
    delivery is no violation: that handler may be younger than the event."""
    expected = defaultdict(set)
    for handler, subscription in subscriptions.items():
        if subscription.when is None:
            for kind in subscription.events:
                expected[kind.name].add(handler)
    # What is older may have been forgotten.
    kept = Q(occurred_at__gt=timezone.now() - KEPT) & ~Q(name__startswith="clock.")
    young = Q(occurred_at__gt=timezone.now() - CLOCK_KEPT)
    for event in Event.objects.filter(kept | young, name__in=declared).prefetch_related("deliveries"):
        there = {delivery.handler for delivery in event.deliveries.all()}
        if expected[event.name] and not there:
            yield f"{event} #{event.pk}: no delivery at all"
    now = timezone.now()
    overdue = Delivery.objects.due(now).exclude(waits_its_turn(now)).filter(available_at__lt=now - SETTLING)
    yield from (f"{row} has waited since {row.available_at:%H:%M:%S}" for row in overdue)
    yield from (f"{row} waits for its turn, and nobody is before it" for row in ordering.stuck())
    lost = Delivery.objects.running().filter(lease_until__lt=lease.now() - SETTLING)
    yield from (f"{row} has been running past its lease" for row in lost)


def one_answer_per_key(_: Ledger) -> Iterator[str]:
    keys = IdempotencyKey.objects.filter(order__isnull=False, made="").select_related("order")
    for key in keys.filter(status_code=201, order__paid_at=None):
        yield f"{key}: answered 201, but {key.order} was never paid"
    # Money that came late was honoured after the answer, and the buyer told by letter.
    late = StatusChange.objects.filter(to_status=S.PAID, from_status__in=[S.DECLINED, S.EXPIRED]).values("order")
    for key in keys.filter(status_code=402).exclude(order__in=late):
        if key.order is not None and key.order.status in (S.PAID, S.PARTLY_SHIPPED, S.SHIPPED, S.COMPLETED):
            yield f"{key}: answered 402, but {key.order} is {key.order.status}"


def open_ones_are_asked_about(_: Ledger) -> Iterator[str]:
    for attempt in recovery.forgotten():
        if attempt.started_at < timezone.now() - SWEPT_WITHIN:
            yield f"{attempt.order}: payment {attempt.state} since {attempt.started_at:%H:%M:%S}, and nobody asks"
    ended = Order.objects.filter(status=S.PLACED).exclude(attempts__state__in=PaymentAttempt.OPEN)
    yield from (f"{order}: placed, and its payment has ended" for order in ended)
    for refund in repayment.forgotten_refunds():
        if refund.created_at < timezone.now() - SWEPT_WITHIN:
            yield f"{refund.order}: refund {refund.state} since {refund.created_at:%H:%M:%S}, and nobody asks"


def letters_are_true(ledger: Ledger) -> Iterator[str]:
    """What buyers were told of their money, against what the bank did with it."""
    about = Q(template="orders/confirmation") | Q(template="orders/payment_failed")
    orders = {subject_of(order): order for order in Order.objects.prefetch_related("attempts")}
    for letter in Letter.objects.filter(about):
        order = orders.get(letter.subject_ref)
        if order is None:
            continue
        if letter.template == "orders/confirmation" and order.paid_at is None:
            yield f"{order}: confirmed by letter, and never paid"
        if letter.template == "orders/payment_failed" and _kept(order, ledger) and order.paid_at is None:
            yield f"{order}: a letter says that nothing was charged, and the bank keeps {_kept(order, ledger)}"


def _kept(order: Order, ledger: Ledger) -> int:
    on_its_way: dict[UUID, int] = defaultdict(int)
    for refund in Refund.objects.open().filter(order=order):
        on_its_way[refund.attempt_id] += refund.amount
    return sum(ledger.kept(str(attempt.pk)) - on_its_way[attempt.pk] for attempt in order.attempts.all())
