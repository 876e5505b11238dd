"""What is due, in the relay's own words: by priority, and nobody starves."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from notifications.pipeline import rescue
from notifications.pipeline.models import Priority

SHARE: Final = 8  # one of so many places is kept for a lower priority

Due = tuple[int, str, int]  # id, queue and priority

_looks = itertools.count()

# Asked after each commit, so spelled by hand: to put it into words takes the ORM ten times as long as to answer it.
# Of each priority by itself: what waits for its time in one stands in nobody's way in the next.
_DUE = """
    SELECT * FROM (SELECT id, queue, priority FROM notifications_delivery
    WHERE state = 'ready' AND priority = {priority} AND available_at <= %s
    AND queue NOT IN (SELECT name FROM notifications_queue WHERE paused_at IS NOT NULL)
    AND handler NOT IN (SELECT handler FROM notifications_brake WHERE paused_at IS NOT NULL OR resting_until > %s)
    AND {{wanted}} ORDER BY available_at, id LIMIT %s) AS due_{priority}
"""
_UPCOMING = """
    SELECT min(available_at) AS at FROM notifications_delivery
    WHERE state = 'ready' AND priority = {priority} AND available_at > %s
"""
DUE = " UNION ALL ".join(_DUE.format(priority=priority) for priority in Priority.values)
UPCOMING = " UNION ALL ".join(_UPCOMING.format(priority=priority) for priority in Priority.values)
UPCOMING = f"SELECT min(at) FROM ({UPCOMING}) AS upcoming"  # noqa: S608  our own words
BESIDE_OTHERS, ALONE = f"crashes < {rescue.SUSPECT}", f"crashes >= {rescue.SUSPECT}"


def look_up(wanted: str, values: Sequence[Any], most: int) -> list[Due]:
    """What is due and as `wanted` says: by priority, then the longest waiting first.

    Nobody starves: where not all have room, an eighth of it is kept for each lower priority that waits; where there is
    room for less than eight, one in each eighth look.
    """
    now = timezone.now()
    found = execute(DUE.format(wanted=wanted), [now, now, *values, most] * len(Priority))
    share = most // SHARE or int(next(_looks) % SHARE == 0)
    chosen: list[Due] = []
    waiting = [[row for row in found if row[2] == priority] for priority in Priority.values]
    for place, rows in enumerate(waiting, start=1):
        kept = sum(min(share, len(lower)) for lower in waiting[place:])
        chosen += rows[: max(most - len(chosen) - kept, 0)]
    return chosen


def next_due() -> datetime | None:
    """When the time of the next one comes that waits for its time."""
    [[found]] = execute(UPCOMING, [timezone.now()] * len(Priority))
    return None if found is None else datetime.fromisoformat(f"{found}").replace(tzinfo=UTC)


def execute(sql: str, values: Sequence[Any]) -> list[Any]:
    """The rows that come back, if any do."""
    with connection.cursor() as cursor:
        cursor.execute(sql, [connection.ops.adapt_unknown_value(value) for value in values])
        return list(cursor.fetchall()) if cursor.description else []


def marks(values: Sequence[object]) -> str:
    """What stands in a query's IN (…) for so many values; of none, what is equal to no name."""
    return ", ".join(["%s"] * len(values)) or "''"
