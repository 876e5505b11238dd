"""Which events anybody listens to: asked at every publication, so remembered for a few seconds.

What is published before this process has heard of a new endpoint is made up for by `fanout.catch_up`.
"""

import time
from typing import Final

from notifications.webhooks.models import Endpoint

REMEMBERED: Final = 5.0  # seconds

_known: tuple[float, frozenset[str]] = (float("-inf"), frozenset())


def is_wanted(name: str) -> bool:
    return name in _names()


def forget() -> None:
    """An endpoint has changed: this process asks anew."""
    global _known
    _known = (float("-inf"), frozenset())


def _names() -> frozenset[str]:
    global _known
    asked, names = _known
    if time.monotonic() - asked > REMEMBERED:
        chosen = Endpoint.objects.enabled().values_list("events", flat=True)
        names = frozenset(name for events in chosen for name in events)
        _known = (time.monotonic(), names)
    return names
