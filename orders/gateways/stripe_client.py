"""Our line to Stripe: one client a process, one clock a conversation, lists read to their end."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import stripe
import structlog
from django.conf import settings
from django.db import connection

from notifications.deadlines import within
from orders.gateways.base import GatewaySilent
from orders.gateways.transport import TimedClient

log = structlog.get_logger(__name__)

# A buyer waits for this. What is not known by then, recovery asks again.
TOTAL_SECONDS: Final = 10.0
# No conversation lasts this long: of what began so long ago, nobody is about to do what was not done by now.
EVERYBODY_LEFT: Final = timedelta(seconds=2 * TOTAL_SECONDS)
# For a list of days, which nobody waits for.
LIST_SECONDS: Final = 60.0
# Stripe remembers keys for 24 hours. An hour less, because our clock is not theirs.
KEY_LIFE: Final = timedelta(hours=23)
# How far our clock may be from the gateway's.
CLOCKS_DIFFER: Final = timedelta(minutes=15)

# Otherwise the SDK writes an identifier into the home folder and reports our timings.
stripe.enable_telemetry = False


@contextlib.contextmanager
def conversation(*, seconds: float | None = None) -> Iterator[None]:
    """No transaction is open while we talk, and the talk ends in time."""
    if connection.in_atomic_block:
        raise RuntimeError("gateway call inside a transaction")
    with within(seconds=TOTAL_SECONDS if seconds is None else seconds):
        yield


def key_alive(used_at: datetime | None) -> bool:
    """Whether a key first used at this time still protects a repeated request. None stands for now.

    A time that lies ahead of us was written by another clock: then nobody knows, and nothing may be repeated.
    """
    return used_at is None or -CLOCKS_DIFFER < age(used_at) < KEY_LIFE


def age(moment: datetime) -> timedelta:
    return datetime.now(UTC) - moment


def intents() -> stripe.PaymentIntentService:
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE).v1.payment_intents


def refunds() -> stripe.RefundService:
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE).v1.refunds


def rows(fetch: Callable[[Any], Any], asked: Mapping[str, Any], *, seconds: float) -> Iterator[dict[str, Any]]:
    """Everything that a list holds, newest first.

    Raises GatewaySilent when it cannot be read to its end in `seconds` of asking; the reader's own time does not count.
    """
    left = seconds
    cursor: dict[str, str] = {}
    while True:
        began = time.monotonic()
        page, more = _page(fetch, {**asked, **cursor, "limit": 100}, left)
        left -= time.monotonic() - began
        yield from page
        if not more:
            return
        cursor = {"starting_after": page[-1]["id"]}


def _page(fetch: Callable[[Any], Any], asked: Mapping[str, Any], left: float) -> tuple[list[dict[str, Any]], bool]:
    try:
        with conversation(seconds=left):
            answer = fetch(asked)
    except stripe.StripeError as error:
        report(error)
        raise GatewaySilent(error.code or type(error).__name__) from error
    said = answer.to_dict() if isinstance(answer, stripe.ListObject) else {}
    data, more = said.get("data"), said.get("has_more")
    if not isinstance(data, list) or not all(text(row, "id") for row in data) or (more and not data):
        raise GatewaySilent("malformed")
    return data, bool(more)


def report(error: stripe.StripeError, *, gateway_id: str | None = None) -> None:
    """Log an answer that told nothing. A wrong key or a wrong account is for a person, so it is louder."""
    ours = isinstance(error, stripe.AuthenticationError | stripe.PermissionError | stripe.InvalidRequestError)
    say = log.error if ours else log.warning
    say("gateway.no_answer", gateway_id=gateway_id, status=error.http_status, code=error.code, error=str(error))


# -- reading only what has the right shape ----------------------------------------------------


def part(said: Any, name: str) -> dict[str, Any]:
    value = said.get(name) if isinstance(said, dict) else None
    return value if isinstance(value, dict) else {}


def text(said: Any, name: str) -> str:
    value = said.get(name) if isinstance(said, dict) else None
    return value if isinstance(value, str) else ""


def whole(said: Any, name: str) -> int | None:
    value = said.get(name) if isinstance(said, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(said: Any, name: str) -> datetime | None:
    """A date as the gateway writes it, in unix seconds."""
    seconds = whole(said, name)
    # Beyond this the calendar ends.
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 <= seconds < 10**11 else None


# -- the client -------------------------------------------------------------------------------


@functools.cache
def _client(key: str, base: str) -> stripe.StripeClient:
    """One a process: threads share it, connections belong to threads.

    No retries inside: a buyer is waiting, the SDK's pause alone is half a second, and recovery asks by key anyway.
    """
    return stripe.StripeClient(
        key,
        base_addresses={"api": base.rstrip("/")} if base else None,
        http_client=TimedClient(),
        max_network_retries=0,
    )
