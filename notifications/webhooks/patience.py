"""How we bear with somebody else's machine. What it does wrong holds up nobody but its owner.

An endpoint that fails rests, longer each time, and behind its rest one call tries while the others wait. One that is
slow rests too, so that it keeps no worker for itself. After three days without a success it is disabled.
"""

import random
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from notifications.pipeline.models import Delivery
from notifications.pipeline.retries import Retry, RetryLater
from notifications.webhooks.models import Endpoint
from notifications.webhooks.sending import Answer

HANDLER: Final = "notifications.call_webhook"
RESTS_AT: Final = 3  # failures one after another, after which an endpoint rests
REST: Final = Retry(first=timedelta(seconds=5), longest=timedelta(minutes=30))
ONE_TRIES: Final = timedelta(seconds=30)  # how long the others wait for the one that does
SLOW: Final = 1.0  # seconds; who takes longer rests four times as long
SLOW_REST: Final = 4
DISABLED_AFTER: Final = timedelta(days=3)  # without a success
FORGOTTEN_AFTER: Final = timedelta(days=1)  # without a call: calls are at most 12 h apart, so nobody was trying
GONE: Final = 410  # "do not call here again", as Standard Webhooks has it


def await_room() -> None:
    """Raises RetryLater while as many calls are under way as may be: the workers are there for the whole shop."""
    if Delivery.objects.running().filter(handler=HANDLER).count() > settings.WEBHOOKS_AT_ONCE:
        waiting = Delivery.objects.filter(handler=HANDLER, state=Delivery.State.READY).count()
        wait = max(1.0, 0.1 * waiting) * random.uniform(0.5, 1.0)  # noqa: S311
        raise RetryLater(wait, "other webhooks are being called", going_well=True)


def await_turn(endpoint: Endpoint) -> None:
    """Raises RetryLater while it rests, and while another call tries it."""
    rest, now = endpoint.resting_until, timezone.now()
    if rest is None:
        return
    if rest <= now:
        endpoint.resting_until = now + ONE_TRIES
        with transaction.atomic(durable=True):
            mine = Endpoint.objects.filter(pk=endpoint.pk, resting_until=rest)
            if mine.update(resting_until=endpoint.resting_until):
                return
        rest = now + ONE_TRIES
    raise RetryLater(max(1.0, (rest - now).total_seconds()), f"{named(endpoint)} rests until {rest:%H:%M:%S}")


def named(endpoint: Endpoint) -> str:
    """Not by its address, which may hold a secret."""
    return f"webhook endpoint {endpoint.pk}"


def note_success(endpoint: Endpoint, answer: Answer) -> None:
    """Inside a transaction that holds the row."""
    rest = timezone.now() + timedelta(seconds=SLOW_REST * answer.seconds) if answer.seconds > SLOW else None
    if endpoint.failures or endpoint.resting_until != rest:
        _write(endpoint, failures=0, failing_since=None, last_failed_at=None, resting_until=rest)


def note_failure(endpoint: Endpoint, answer: Answer, *, seen_rest: datetime | None) -> str:
    """Inside a transaction that holds the row. Returns why it is to be disabled, if it is.

    seen_rest: what its rest was when the call began. Calls that were under way together fail once.
    """
    if answer.status == GONE:
        return "It answered 410: it is gone."
    if endpoint.resting_until != seen_rest:
        return ""
    now, last = timezone.now(), endpoint.last_failed_at
    lately = last is not None and last > now - FORGOTTEN_AFTER
    since = endpoint.failing_since if lately and endpoint.failing_since else now
    failures = endpoint.failures + 1 if lately else 1
    rest = now + REST.delay(failures - RESTS_AT + 1) if failures >= RESTS_AT else None
    _write(endpoint, failures=failures, failing_since=since, last_failed_at=now, resting_until=rest)
    return f"No call has reached it since {since:%Y-%m-%d %H:%M} UTC." if since < now - DISABLED_AFTER else ""


def try_at_once(endpoint: Endpoint) -> None:
    """A person wants to see whether it works now: its rest is over."""
    Endpoint.objects.filter(pk=endpoint.pk, resting_until__gt=timezone.now()).update(resting_until=timezone.now())


def _write(endpoint: Endpoint, **changes: object) -> None:
    for name, value in changes.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=list(changes))
