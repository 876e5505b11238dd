"""What every page shows to staff when the pipeline needs them."""

import time
from typing import Any, Final

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from notifications.pipeline.health import Health, pipeline_health

REMEMBERED = 1.0  # seconds, in this process

_known: Final[list[tuple[float, Health]]] = []


def staff_warnings(request: HttpRequest) -> dict[str, Any]:
    """`staff_warnings`: sentences; `staff_alarm`: nothing runs any more. Both empty for everybody else.

    Lazy, because pages that do not show them must not pay for them.
    """
    return {
        "staff_warnings": SimpleLazyObject(lambda: current_health().warnings if _is_staff(request) else []),
        "staff_alarm": SimpleLazyObject(lambda: _is_staff(request) and not current_health().relay_alive),
    }


def current_health() -> Health:
    """The pipeline's health, at most a second old: several parts of one page ask for it."""
    known = _known[:]  # a copy: another thread may forget it meanwhile
    if known and time.monotonic() - known[0][0] <= REMEMBERED:
        return known[0][1]
    health = pipeline_health()
    _known[:] = [(time.monotonic(), health)]
    return health


def forget_health() -> None:
    """After a decision that changes it: the next page must not show the past."""
    _known[:] = []


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.is_staff
