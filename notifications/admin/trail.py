"""Everything that carries one correlation id: what led to this, and what else came of it."""

from collections.abc import Sequence
from typing import Final

from notifications.pipeline.models import Event

MOST_SHOWN: Final = 200


def trail(correlation_id: str) -> Sequence[Event]:
    """The events of one correlation, oldest first, with their deliveries: two queries."""
    found = Event.objects.correlated(correlation_id).order_by("id")
    return list(found.prefetch_related("deliveries")[:MOST_SHOWN])
