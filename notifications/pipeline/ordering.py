"""The baton: one subject's events reach an ordered handler one at a time, in the order of their commits.

Of the deliveries of one handler about one subject, the first is READY and holds the baton; the others are WAITING.
Whoever comes to an end hands it on in the same transaction. A try that failed keeps it, and so does a dead letter:
what follows may rest on it, so a person retries or discards it first.
"""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef
from django.utils import timezone

from notifications.pipeline import locks
from notifications.pipeline.models import Delivery, DeliveryQuerySet

State = Delivery.State
HOLDING = (State.READY, State.RUNNING, State.DEAD)


def line_up(deliveries: Iterable[Delivery]) -> None:
    """Before they are inserted: who comes behind another waits. Inside the publisher's transaction."""
    first: set[tuple[str, str | None]] = set()
    for delivery in sorted(deliveries, key=lambda row: (row.handler, row.order_key)):
        line = (delivery.handler, delivery.order_key)
        if line in first or _is_somebody_in(*line):
            delivery.state = State.WAITING
        first.add(line)


def _is_somebody_in(handler: str, order_key: str | None) -> bool:
    _stand_still(handler, order_key)
    return Delivery.objects.in_line(handler, order_key).exists()


def hand_on(delivery: Delivery) -> None:
    """The end of `delivery` is being written: the next of its line is READY with the same commit."""
    if delivery.order_key is None:
        return
    stand_still(delivery)
    if has_holder(delivery):
        return
    following = Delivery.objects.in_line(delivery.handler, delivery.order_key).order_by("pk").values("pk")[:1]
    Delivery.objects.filter(pk__in=following).update(state=State.READY, available_at=timezone.now())


def ahead_of(delivery: Delivery) -> Delivery | None:
    """Whom a WAITING delivery waits for: the one that holds its baton."""
    if delivery.state != State.WAITING:
        return None
    return Delivery.objects.in_line(delivery.handler, delivery.order_key).filter(state__in=HOLDING).first()


def behind(delivery: Delivery) -> int:
    """How many wait until this one has come to its end."""
    if delivery.order_key is None or delivery.state not in HOLDING:
        return 0
    return Delivery.objects.in_line(delivery.handler, delivery.order_key).filter(state=State.WAITING).count()


def overtaken(delivery: Delivery) -> bool:
    """Whether one that came after it, in its line, has begun or come to its end."""
    later = Delivery.objects.filter(handler=delivery.handler, order_key=delivery.order_key, pk__gt=delivery.pk)
    return later.exclude(state=State.WAITING).exists()


def has_holder(delivery: Delivery) -> bool:
    """Whether another one holds the baton of its line."""
    return Delivery.objects.in_line(delivery.handler, delivery.order_key).filter(state__in=HOLDING).exists()


def superseded_by(delivery: Delivery) -> Delivery | None:
    """The newest delivery of the same handler about the same subject, when that is not this one.

    What was discarded has not happened, and will not.
    """
    newer = Delivery.objects.filter(handler=delivery.handler, order_key=delivery.order_key, pk__gt=delivery.pk)
    return newer.exclude(state=State.CANCELLED).order_by("-pk").first()


def stuck() -> DeliveryQuerySet:
    """Those that wait, though nobody holds their baton: what only a hand in the database can bring about."""
    holder = Delivery.objects.in_line(OuterRef("handler"), OuterRef("order_key")).filter(state__in=HOLDING)
    return Delivery.objects.open(State.WAITING).filter(~Exists(holder)).order_by("handler", "order_key", "pk")


def mend_lines() -> int:
    """Hand on every baton that nobody holds. Returns how many."""
    lost = {(row.handler, row.order_key): row for row in stuck()}
    for row in lost.values():
        hand_on(row)
    return len(lost)


def stand_still(delivery: Delivery) -> None:
    """Nobody joins or leaves the line of `delivery`, if it is in one, until this transaction ends."""
    if delivery.order_key is not None:
        _stand_still(delivery.handler, delivery.order_key)


def _stand_still(handler: str, order_key: str | None) -> None:
    """Until this transaction ends, nobody else joins or leaves the line."""
    locks.take_turns(handler, order_key)
