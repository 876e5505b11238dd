"""Handlers that are held back: by a person, or because they fail in the same way all the time.

After five deliveries that failed alike the handler rests. When its rest is over, one delivery is tried: if it works,
all go on; if not, the rest is longer. So an outage of somebody else's server burns a handful of tries, not ten of each.
"""

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from notifications.audit import log as audit
from notifications.pipeline import doorbell
from notifications.pipeline.models import Brake, Delivery

TRIPS_AT: Final = 5  # deliveries in a row
FIRST_REST: Final = timedelta(seconds=5)
LONGEST_REST: Final = timedelta(seconds=15)  # one question in so long is no burden to whoever is coming back


def note_failure(delivery: Delivery, *, fingerprint: str, sentence: str) -> None:
    """Inside the transaction that writes the failure. The same delivery again says nothing new of its handler."""
    Brake.objects.get_or_create(handler=delivery.handler)
    brake = Brake.objects.select_for_update().get(handler=delivery.handler)
    alike = brake.fingerprint == fingerprint
    if alike and brake.last_delivery == delivery.pk and brake.fails < TRIPS_AT:
        return
    brake.fails = brake.fails + 1 if alike else 1
    brake.fingerprint, brake.last_delivery, brake.last_error = fingerprint, delivery.pk, sentence
    brake.resting_until = timezone.now() + rest(brake.fails) if brake.fails >= TRIPS_AT else None
    brake.save()


def rest(fails: int) -> timedelta:
    """How long a handler rests after so many failures in a row."""
    return min(FIRST_REST * 2 ** min(fails - TRIPS_AT, 10), LONGEST_REST)


def note_success(handler: str) -> None:
    """It works again: whoever waited for that goes on. Inside the transaction that writes the success."""
    released = Brake.objects.filter(handler=handler, fails__gt=0)
    if released.update(fails=0, fingerprint="", last_error="", resting_until=None):
        doorbell.ring_after_commit()


def be_the_canary(handler: str, *, until: datetime) -> bool:
    """The rest is over, and this is the one that is tried; the others wait for its end, or until its lease is over."""
    now = timezone.now()
    over = Brake.objects.filter(handler=handler, fails__gte=TRIPS_AT, resting_until__lte=now)
    return bool(over.update(resting_until=until))


def wake(handler: str) -> None:
    """End its rest now: somebody who wants to see whether it works again need not wait."""
    now = timezone.now()
    Brake.objects.filter(handler=handler, resting_until__gt=now).update(resting_until=now)


def pause(handler: str, *, by: str, reason: str = "") -> None:
    """Run no more of this handler's deliveries until it is resumed; what runs now comes to its end."""
    facts = {"paused_at": timezone.now(), "paused_by": by, "reason": reason[:200]}
    with transaction.atomic():
        Brake.objects.update_or_create(handler=handler, defaults=facts)
        audit.record("handler.paused", about=f"handler:{handler}"[:100], actor=by)


def resume(handler: str, *, by: str = "") -> bool:
    """Go on, also when it only rests. False when nothing held it back. by: as the context says, if not given."""
    held = Brake.objects.filter(handler=handler).exclude(paused_at=None, resting_until=None)
    with transaction.atomic():
        resumed = held.update(paused_at=None, paused_by="", reason="", fails=0, fingerprint="", resting_until=None)
        if resumed:
            audit.record("handler.resumed", about=f"handler:{handler}"[:100], actor=by)
        doorbell.ring_after_commit()
    return bool(resumed)
