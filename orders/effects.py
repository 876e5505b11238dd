"""What happens after an order by itself: how far it is, for programs and, in words, for the buyer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from notifications.models import Delivery, Event
from notifications.pipeline.events import subject_of
from notifications.webhooks import fanout
from orders.models import Order

# What a buyer calls the letters of an order; others are none of theirs.
LETTERS = {
    "orders/confirmation": gettext_lazy("Confirmation e-mail"),
    "orders/shipping_notice": gettext_lazy("Notice to our shipping department"),
    "orders/payment_failed": gettext_lazy("E-mail about the payment"),
    "orders/wrong_amount": gettext_lazy("E-mail about the wrong amount"),
    "orders/came_late": gettext_lazy("E-mail about the late payment"),
    "orders/cancelled": gettext_lazy("E-mail about the cancellation"),
    "orders/refunded": gettext_lazy("E-mail about your refund"),
    "orders/shipped": gettext_lazy("E-mail about your parcel"),
}


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


def side_effects(order: Order) -> list[SideEffect]:
    """Every delivery the order has caused so far, oldest first; not those that tell other people's programs of it."""
    return side_effects_of([order])[order.pk]


def side_effects_of(orders: Sequence[Order]) -> dict[int, list[SideEffect]]:
    """The same for many orders, by order id, in one query however many there are."""
    subjects = {subject_of(order): order.pk for order in orders}
    requests = {order.correlation_id: order.pk for order in orders}
    caused = Q(event__subject__in=subjects) | Q(event__correlation_id__in=requests)
    found: dict[int, list[SideEffect]] = {order.pk: [] for order in orders}
    deliveries = Delivery.objects.filter(caused).exclude(queue=fanout.QUEUE)
    for delivery in deliveries.select_related("event").order_by("event_id", "pk"):
        event = delivery.event
        order_id = subjects.get(event.subject) or requests[event.correlation_id]
        found[order_id].append(_side_effect(event, delivery))
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
