"""What every page shows to staff when the pipeline needs them."""

import time
from functools import lru_cache
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from notifications.pipeline.health import Health, pipeline_health


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
    return _health_in(int(time.monotonic()))


@lru_cache(maxsize=1)
def _health_in(_second: int) -> Health:
    return pipeline_health()


def forget_health() -> None:
    """After a decision that changes it: the next page must not show the past."""
    _health_in.cache_clear()


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.is_staff
