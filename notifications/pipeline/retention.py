"""What has come to its end is forgotten by and by, a thousand rows at a time. Facts and dead letters stay."""

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from notifications.pipeline import clock
from notifications.pipeline.models import Attempt, Delivery, Event, Worker

KEPT: Final = timedelta(days=30)  # for deliveries that are done or discarded, with their tries; for stopped workers
CLOCK_KEPT: Final = timedelta(days=2)  # for what the clock says: nobody asks about a minute of last week
BATCH: Final = 1_000  # rows in one transaction: nobody waits long for its locks

TICKS: Final = [kind.name for kind in (clock.ClockMinute, clock.ClockHour, clock.ClockDay)]
ENDED: Final = (Delivery.State.DONE, Delivery.State.CANCELLED)


def prune(*, most: int | None = None) -> Counter[str]:
    """Forget what is old enough, of each kind not much more than `most`. Returns how many; any number of times, at any
    time.
    """
    now = timezone.now()
    ended = Delivery.objects.filter(state__in=ENDED).order_by("finished_at")
    ticks = Event.objects.filter(name__in=TICKS, occurred_at__lt=now - CLOCK_KEPT).order_by("pk")
    gone = Worker.objects.filter(stopped_at__lt=now - KEPT).order_by("pk")
    return Counter(
        deliveries=forget(ended.filter(finished_at__lt=now - KEPT), most=most)
        + forget(ended.filter(finished_at__lt=now - CLOCK_KEPT, event__in=ticks.order_by()), most=most),
        events=forget(ticks.filter(~Exists(Delivery.objects.filter(event=OuterRef("pk")))), most=most),
        workers=forget(
            gone.filter(
                ~Exists(Delivery.objects.filter(worker=OuterRef("pk"))),
                ~Exists(Attempt.objects.filter(worker=OuterRef("pk"))),
            ),
            most=most,
        ),
    )


def forget(rows: QuerySet[Any], *, most: int | None = None) -> int:
    """Delete `rows`, a batch in a transaction, until `most` or more are gone. Returns how many."""
    forgotten = 0
    while (most is None or forgotten < most) and (batch := list(rows.values_list("pk", flat=True)[:BATCH])):
        with transaction.atomic():
            rows.model._base_manager.filter(pk__in=batch).delete()
        forgotten += len(batch)
    return forgotten
