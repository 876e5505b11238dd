"""What happened to this order, what is happening, and what comes next: read from the rows, told in words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from notifications.models import Delivery, Event, Letter
from notifications.pipeline.events import subject_of
from orders.models import Order
from orders.templatetags.shop import money

# What a buyer calls the letters of an order; others are none of theirs.
LETTERS = {
    "orders/confirmation": gettext_lazy("Confirmation e-mail"),
    "orders/shipping_notice": gettext_lazy("Notice to our shipping department"),
    "orders/payment_failed": gettext_lazy("E-mail about the payment"),
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the timeline. kind: event, delivery, mail, payment, stock, status or staff; ref: the row's id."""

    at: datetime
    kind: str
    title: str
    detail: str
    state: str
    actor: str
    correlation_id: str
    ref: str


@dataclass(frozen=True, kw_only=True)
class SideEffect:
    """One delivery caused by the order. `words` tell a buyer, and are empty where it is no buyer's business."""

    handler: str
    event: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    last_error: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage of the order. state: done, current, todo or failed."""

    name: str
    state: str
    at: datetime | None


def _events(order: Order) -> Sequence[Event]:
    mine = Q(subject=subject_of(order)) | Q(correlation_id=order.correlation_id)
    return list(Event.objects.filter(mine).order_by("id").prefetch_related("deliveries__attempts"))


# -- The timeline -----------------------------------------------------------------------------


def timeline(order: Order) -> list[Entry]:
    """Every event, delivery, failed try, mail, payment attempt, stock move, status change, staff action, in order."""
    events = _events(order)
    entries = [*_event_entries(events), *_mail_entries(order), *_payment_entries(order)]
    entries += [*_stock_entries(order), *_status_entries(order)]
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
        yield Entry(
            at=attempt.finished_at or attempt.started_at,
            kind="payment",
            title=f"{money(attempt.amount, attempt.currency)} by {attempt.payment_method}",
            detail=" ".join(filter(None, [attempt.gateway_id, attempt.code, attempt.message])),
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


# -- The side effects -------------------------------------------------------------------------


def side_effects(order: Order) -> list[SideEffect]:
    """Every delivery the order has caused so far, oldest first."""
    return side_effects_of([order])[order.pk]


def side_effects_of(orders: Sequence[Order]) -> dict[int, list[SideEffect]]:
    """The same for many orders, by order id, in two queries however many there are."""
    subjects = {subject_of(order): order.pk for order in orders}
    requests = {order.correlation_id: order.pk for order in orders}
    caused = Q(subject__in=subjects) | Q(correlation_id__in=requests)
    found: dict[int, list[SideEffect]] = {order.pk: [] for order in orders}
    for event in Event.objects.filter(caused).order_by("id").prefetch_related("deliveries"):
        order_id = subjects.get(event.subject) or requests[event.correlation_id]
        found[order_id] += [_side_effect(event, delivery) for delivery in event.deliveries.all()]
    return found


def _side_effect(event: Event, delivery: Delivery) -> SideEffect:
    waiting = delivery.state == Delivery.State.READY
    return SideEffect(
        handler=delivery.handler,
        event=event.name,
        state=delivery.state,
        attempts=delivery.attempt,
        next_attempt_at=delivery.available_at if waiting else None,
        last_error=delivery.last_error,
        words=_words(event, delivery),
    )


def _words(event: Event, delivery: Delivery) -> str:
    name = LETTERS.get(event.payload.get("template", ""))
    if name is None or delivery.handler != "notifications.send_letter":
        return ""
    facts = {
        "letter": name,
        "try": delivery.attempt + 1,
        "of": delivery.max_attempts,
        "at": date_format(timezone.localtime(delivery.available_at), "H:i"),
    }
    match delivery.state:
        case Delivery.State.DONE:
            return _("%(letter)s: sent") % facts
        case Delivery.State.DEAD | Delivery.State.CANCELLED:
            return _("%(letter)s: could not be sent; we are looking into it") % facts
        case Delivery.State.READY if delivery.last_error:
            return _("%(letter)s is on its way (try %(try)s of %(of)s, next at %(at)s)") % facts
        case _:
            return _("%(letter)s is on its way") % facts


# -- The progress -----------------------------------------------------------------------------

_UNPAID_ENDS = (Order.Status.DECLINED, Order.Status.EXPIRED, Order.Status.CANCELLED)
_PACKED = (Order.Status.PARTLY_SHIPPED, Order.Status.SHIPPED, Order.Status.COMPLETED)
_SHIPPED = (Order.Status.SHIPPED, Order.Status.COMPLETED)


def progress(order: Order) -> list[Step]:
    """Placed, paid, packed, shipped: what is done, and which one is being worked on."""
    reached = [
        (_("Placed"), True, order.placed_at),
        (_("Paid"), order.paid_at is not None, order.paid_at),
        (_("Packed"), order.status in _PACKED, None),
        (_("Shipped"), order.status in _SHIPPED, None),
    ]
    steps, current_found = [], False
    for name, done, at in reached:
        state = "done" if done else _undone_state(order, first=not current_found)
        current_found |= not done
        steps.append(Step(name=name, state=state, at=at))
    return steps


def _undone_state(order: Order, *, first: bool) -> str:
    if not first:
        return "todo"
    return "failed" if order.status in _UNPAID_ENDS else "current"
