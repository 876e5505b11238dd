"""A handler that is new, or was missing for a while, catches up with what has happened: the table remembers."""

from datetime import datetime
from typing import Final

from django.db import transaction

from notifications.pipeline import doorbell, ordering
from notifications.pipeline.events import BadPayload, Subscription, aliases, declared
from notifications.pipeline.models import Delivery, Event, EventQuerySet

AT_ONCE: Final = 500  # events in one transaction


def missed(subscription: Subscription, *, since: datetime) -> EventQuerySet:
    """The events since then that this handler has no delivery of, in their order.

    Deliveries that are done are forgotten after `retention.KEPT`: before that, only a new handler has missed any.
    """
    names = [subscription.handler, *(old for old, name in aliases.items() if name == subscription.handler)]
    had = Delivery.objects.filter(handler__in=names).values("event")
    happened = Event.objects.filter(name__in=[kind.name for kind in subscription.events], occurred_at__gte=since)
    return happened.exclude(pk__in=had).order_by("pk")


def replay(subscription: Subscription, *, since: datetime) -> int:
    """Deliver what was missed, at once. Returns how many; those that `when` has no use for do not count.

    Any number of times, also by two people at once: an event has one delivery for each handler.
    """
    made, reached = 0, 0
    while batch := list(missed(subscription, since=since).filter(pk__gt=reached)[:AT_ONCE]):
        reached = batch[-1].pk
        with transaction.atomic():
            rows = [row for record in batch if (row := _delivery(subscription, record))]
            if subscription.ordered:
                ordering.line_up(rows)
            Delivery.objects.bulk_create(rows, ignore_conflicts=True)
            doorbell.ring_after_commit()
        made += len(rows)
    return made


def _delivery(subscription: Subscription, record: Event) -> Delivery | None:
    kind = declared[record.name]
    try:
        event = kind.from_payload(record.payload, record.version)
    except (BadPayload, TypeError):
        return subscription.row(record)  # it will say so itself, on the failures page
    return subscription.delivery(kind, event=event, record=record)
