"""What happened to this order: read from the rows that say so, in order."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Q

from notifications.models import Delivery, Event, Letter
from notifications.pipeline.events import subject_of
from orders.afterwards import Entry, afterwards
from orders.effects import LETTERS, SideEffect, side_effects, side_effects_of
from orders.models import Order
from orders.progress import Step, progress
from orders.templatetags.shop import money
from orders.why import why

__all__ = [
    "LETTERS",
    "Entry",
    "SideEffect",
    "Step",
    "progress",
    "side_effects",
    "side_effects_of",
    "timeline",
    "why",
]


def timeline(order: Order) -> list[Entry]:
    """Every event, delivery, failed try, mail, payment attempt, stock move, status change, refund, parcel, edit,
    message of the gateway, invoice and staff action, in order.
    """
    events = _events(order)
    entries = [*_event_entries(events), *_mail_entries(order), *_payment_entries(order)]
    entries += [*_stock_entries(order), *_status_entries(order), *afterwards(order)]
    return sorted(entries, key=lambda entry: entry.at)


def _event_entries(events: Iterable[Event]) -> Iterator[Entry]:
    for event in events:
        yield Entry(
            at=event.occurred_at,
            kind="event",
            title=event.name,
            detail=", ".join(f"{key} {value}" for key, value in event.payload.items()),
            state="done",
            actor=event.actor,
            correlation_id=event.correlation_id,
            ref=str(event.pk),
        )
        for delivery in event.deliveries.all():
            yield from _delivery_entries(event, delivery)


def _delivery_entries(event: Event, delivery: Delivery) -> Iterator[Entry]:
    def entry(at: datetime, *, kind: str, title: str, detail: str, state: str, actor: str) -> Entry:
        return Entry(
            at=at,
            kind=kind,
            title=title,
            detail=detail,
            state=state,
            actor=actor,
            correlation_id=event.correlation_id,
            ref=str(delivery.pk),
        )

    for failed in delivery.attempts.all():
        what = f"{failed.error_class}: {failed.message}" if failed.error_class else failed.message
        yield entry(
            failed.finished_at,
            kind="delivery",
            title=f"{delivery.handler}, try {failed.n}",
            detail=what,
            state=failed.outcome,
            actor=delivery.handler,
        )
    yield entry(
        delivery.finished_at or delivery.available_at,
        kind="delivery",
        title=delivery.handler,
        detail=delivery.last_error,
        state=delivery.state,
        actor=delivery.handler,
    )
    for decision in delivery.resolution or []:
        yield entry(
            datetime.fromisoformat(decision["at"]),
            kind="staff",
            title=f"{decision['action']} {delivery.handler}",
            detail=decision["reason"],
            state="done",
            actor=decision["by"],
        )


def _mail_entries(order: Order) -> Iterator[Entry]:
    for letter in Letter.objects.filter(subject_ref=subject_of(order)):
        yield Entry(
            at=letter.sent_at or letter.queued_at,
            kind="mail",
            title=letter.subject,
            detail=f"to {letter.to}, {letter.message_id}",
            state=letter.state,
            actor=letter.template,
            correlation_id=letter.correlation_id,
            ref=str(letter.pk),
        )


def _payment_entries(order: Order) -> Iterator[Entry]:
    for attempt in order.attempts.all():
        taken = f"taken: {money(attempt.captured, attempt.captured_currency)}" if attempt.captured else ""
        yield Entry(
            at=attempt.finished_at or attempt.started_at,
            kind="payment",
            title=f"{money(attempt.amount, attempt.currency)} by {attempt.payment_method}",
            detail=" ".join(filter(None, [taken, attempt.gateway_id, attempt.code, attempt.message])),
            state=attempt.state,
            actor="gateway",
            correlation_id=order.correlation_id,
            ref=str(attempt.pk),
        )


def _stock_entries(order: Order) -> Iterator[Entry]:
    for move in order.movements.select_related("product"):
        yield Entry(
            at=move.at,
            kind="stock",
            title=f"{move.product.sku} {move.quantity:+d}",
            detail=move.note,
            state=move.reason,
            actor=move.actor,
            correlation_id=order.correlation_id,
            ref=str(move.pk),
        )


def _status_entries(order: Order) -> Iterator[Entry]:
    for change in order.status_changes.all():
        yield Entry(
            at=change.at,
            kind="status",
            title=str(change),
            detail=change.reason,
            state=change.to_status,
            actor=change.actor,
            correlation_id=order.correlation_id,
            ref=str(change.pk),
        )


def _events(order: Order) -> list[Event]:
    mine = Q(subject=subject_of(order)) | Q(correlation_id=order.correlation_id)
    return list(Event.objects.filter(mine).order_by("id").prefetch_related("deliveries__attempts"))
