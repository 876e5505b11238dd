"""Time as events: `clock.minute`, `clock.hour`, `clock.day`, each published once whatever the relays' number.

Periodic jobs subscribe to them and so are retried, visible and highly available like any handler.
"""

from datetime import datetime

from django.db import IntegrityError, transaction

from notifications.pipeline.events import DomainEvent, publish
from notifications.pipeline.models import Event


class ClockMinute(DomainEvent, name="clock.minute"):
    """Fires once a minute, while any relay runs. `at` is the minute's start, ISO 8601, UTC."""

    at: str


class ClockHour(DomainEvent, name="clock.hour"):
    """Fires once an hour. `at` is the hour's start, ISO 8601, UTC."""

    at: str


class ClockDay(DomainEvent, name="clock.day"):
    """Fires once a day, at midnight UTC. `at` is the day's start, ISO 8601, UTC."""

    at: str


def tick(now: datetime) -> None:
    """Publish what `now` begins, unless another relay has."""
    minute = now.replace(second=0, microsecond=0)
    _once(ClockMinute, minute)
    _once(ClockHour, minute.replace(minute=0))
    _once(ClockDay, minute.replace(minute=0, hour=0))


def _once(kind: type[ClockMinute | ClockHour | ClockDay], start: datetime) -> None:
    key = f"{kind.name}:{start.isoformat()}"
    if Event.objects.filter(dedupe_key=key).exists():
        return
    try:
        with transaction.atomic(durable=True):
            publish(kind(at=start.isoformat()), dedupe_key=key)
    except IntegrityError:
        pass  # another relay was first
