"""The doctor's round, asked for by a button: carried out after the answer, for it may take minutes in an old shop.

What it found is kept where all processes see it, until the next one; the facts it was found in stay where they are.
"""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from notifications.models import Delivery
from notifications.pipeline.events import publish
from orders.books import Invariant, invariants
from orders.events import BooksCheckAsked

HANDLER: Final = "orders.check_books"
_KEPT_AS: Final = "books:checkup"


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """What one round found. seconds: how long it took."""

    at: datetime
    seconds: float
    invariants: list[Invariant]

    @property
    def violations(self) -> int:
        return sum(one.violations for one in self.invariants)


def ask() -> bool:
    """Have the books checked soon. False when that has been asked for, and is not done yet."""
    if under_way():
        return False
    with transaction.atomic(durable=True):
        publish(BooksCheckAsked())
    return True


def under_way() -> bool:
    return Delivery.objects.filter(handler=HANDLER, state__in=["ready", "running"]).exists()


def carry_out() -> Checkup:
    """Check everything, outside of a transaction, and keep what was found."""
    began = time.monotonic()
    found = invariants()
    checkup = Checkup(at=timezone.now(), seconds=time.monotonic() - began, invariants=found)
    cache.set(_KEPT_AS, asdict(checkup), timeout=None)
    return checkup


def latest() -> Checkup | None:
    """The last round that came to its end; None when there was none."""
    kept: dict[str, Any] | None = cache.get(_KEPT_AS)
    if kept is None:
        return None
    return Checkup(**kept | {"invariants": [Invariant(**one) for one in kept["invariants"]]})
