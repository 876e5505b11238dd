"""What one person may keep, and how much may come in an hour. The database says no, however many ask at once."""

from datetime import timedelta
from typing import Any

from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from uploads.limits import allowance, in_words
from uploads.models import Usage


class OverQuota(Exception):
    """There is no room for it; the message names the limit."""


class TooOften(Exception):
    """Too many came in the last hour. `retry_after` in seconds."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} uploads in an hour are the limit. Go on in a while.")
        self.retry_after = 600


def take(*, owner: Any, size: int) -> None:
    """Account for one more upload, inside the transaction that writes it. Raises OverQuota or TooOften."""
    most = allowance(owner)
    Usage.objects.get_or_create(owner=owner)
    # Locked from here to the commit: what is asked next is still true then.
    fits = Usage.objects.filter(owner=owner, bytes__lte=most.bytes - size, count__lt=most.uploads)
    if not fits.update(bytes=F("bytes") + size, count=F("count") + 1):
        raise OverQuota(
            f"There is no room for it: you may keep {in_words(most.bytes)} in {most.uploads} uploads."
            " Delete some first."
        )
    now = timezone.now()
    fresh = Q(hour__gt=now - timedelta(hours=1))
    counted = Usage.objects.filter(owner=owner).exclude(fresh & Q(in_hour__gte=most.an_hour))
    first = When(~fresh, then=Value(1))
    started = When(~fresh, then=Value(now))
    if not counted.update(in_hour=Case(first, default=F("in_hour") + 1), hour=Case(started, default=F("hour"))):
        raise TooOften(most.an_hour)


def give_back(*, owner_id: int, size: int = 0, uploads: int = 0) -> None:
    """So much is kept no longer, in the transaction that says so."""
    Usage.objects.filter(owner_id=owner_id).update(bytes=F("bytes") - size, count=F("count") - uploads)
