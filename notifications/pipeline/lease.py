"""How long a claim holds without a sign of life from whoever has it.

By the clock of the database server where there is one: several hosts share it, and each of their own clocks may be
wrong. SQLite lives on one host, whose clock is everybody's.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

LEASE: Final = timedelta(seconds=30)
MARGIN: Final = timedelta(seconds=2)  # after its limit: a handler that is just in time is not given up


def now() -> datetime | Now:
    """To compare leases with."""
    return Now() if connection.vendor == "postgresql" else timezone.now()


def until(length: timedelta) -> Any:
    """To write: so long from now."""
    return now() + length


def length(limit: timedelta, *, gone: timedelta = timedelta(0)) -> timedelta:
    """For a handler that may run for `limit`, and so much of that is gone. Not positive: it is over its limit."""
    return min(LEASE, limit - gone + MARGIN) if gone <= limit else timedelta(0)
