"""The one adapter: Stripe, or the bank stand-in that speaks its language (STRIPE_API_BASE).

Charging takes two steps: *create* opens a payment intent under the attempt's key and moves nothing; *confirm* moves
the money. So the intent of an attempt can be looked up without charging it, and cancelling it is a fence
(docs/decisions/0001-two-step-charge.md).
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import stripe
import structlog
from django.conf import settings
from django.db import connection

from orders.gateways.base import Charge, Outcome, Status
from orders.gateways.transport import TimedClient, within

log = structlog.get_logger(__name__)

# A buyer waits for this. What is not known by then, recovery asks again.
TOTAL_SECONDS: Final = 10.0
# Stripe remembers keys for 24 hours. An hour less, because our clock is not theirs.
KEY_LIFE: Final = timedelta(hours=23)
# How far from `started_at` the gateway's own date of the intent may lie.
CLOCKS_DIFFER: Final = timedelta(minutes=15)

STATUSES: Final = {
    "succeeded": Status.SUCCEEDED,
    "canceled": Status.CANCELLED,
    "requires_action": Status.REQUIRES_ACTION,
    "requires_confirmation": Status.NOT_CHARGED,
    "requires_payment_method": Status.NOT_CHARGED,
}

# Otherwise the SDK writes an identifier into the home folder and reports our timings.
stripe.enable_telemetry = False


@contextlib.contextmanager
def _conversation() -> Iterator[None]:
    """No transaction is open while we talk, and the talk ends in time."""
    if connection.in_atomic_block:
        raise RuntimeError("gateway call inside a transaction")
    with within(seconds=TOTAL_SECONDS):
        yield


@_conversation()
def charge(request: Charge) -> Outcome:
    """Take the money, at most once for this reference.

    Never raises for what the gateway or the network does: whatever leaves the truth open is UNKNOWN, and `find` tells
    later. Call it once an attempt; who is not sure whether it was called, calls `find` or `cancel`.
    """
    opened = _opened(request)
    if opened.gateway_id is None or opened.status is not Status.NOT_CHARGED:
        return opened
    return _asked(lambda: _confirm(opened.gateway_id or "", request), opened.gateway_id)


@_conversation()
def find(request: Charge, gateway_id: str | None = None) -> Outcome:
    """What became of this charge, without moving money. UNKNOWN when the gateway cannot say now."""
    located = _located(request, gateway_id)
    if located.gateway_id is None:
        return located
    return _retrieved(located.gateway_id)


@_conversation()
def cancel(request: Charge, gateway_id: str | None = None) -> Outcome:
    """Make sure that this charge is not taken any more.

    CANCELLED is a fence: not even a request still under way can charge now. SUCCEEDED says that the money was already
    taken, UNKNOWN that there is no fence yet.
    """
    located = _located(request, gateway_id)
    if located.gateway_id is None:
        # Nothing was opened: the gateway refuses to, or the attempt is older than its key. Nothing can be confirmed.
        fenced = located.status is Status.NOT_CHARGED
        return Outcome(**{**vars(located), "status": Status.CANCELLED}) if fenced else located
    return _asked(lambda: _intents().cancel(located.gateway_id or ""), located.gateway_id)


# -- the steps --------------------------------------------------------------------------------


def _located(request: Charge, gateway_id: str | None) -> Outcome:
    if gateway_id is not None:
        return _plain(Status.UNKNOWN, gateway_id)
    age = datetime.now(UTC) - request.started_at if request.started_at else timedelta(0)
    return _opened(request) if age < KEY_LIFE else _searched(request)


def _opened(request: Charge) -> Outcome:
    """The intent of this attempt: made now, or the one that its key already made."""
    try:
        intent = _intents().create(
            {
                "amount": request.amount,
                "currency": request.currency.lower(),
                "description": f"Order {request.order_number}",
                "metadata": {"reference": request.reference, "order": request.order_number},
                "allowed_payment_method_types": ["card"],
            },
            {"idempotency_key": f"{request.reference}-create"},
        )
    except stripe.InvalidRequestError as error:
        log.error("gateway.refused_request", reference=request.reference, code=error.code, error=str(error))
        return _plain(Status.NOT_CHARGED, None, code=error.code or "invalid_request")
    except stripe.StripeError as error:
        return _unanswered(error, None)
    return _outcome(intent)


def _searched(request: Charge) -> Outcome:
    """The intent of an attempt whose key is forgotten: create would open a second one, so look through the list.

    The list is complete the moment an intent is made, unlike the gateway's search by metadata, which lags.
    """
    assert request.started_at is not None
    since = int((request.started_at - CLOCKS_DIFFER).timestamp())
    until = int((request.started_at + CLOCKS_DIFFER).timestamp())
    try:
        page = _intents().list({"created": {"gte": since, "lte": until}, "limit": 100})
        if not isinstance(page, stripe.ListObject):
            return _plain(Status.UNKNOWN, None, code="malformed")
        for intent in page.auto_paging_iter():
            if _text(_part(intent.to_dict(), "metadata"), "reference") == request.reference:
                return _outcome(intent)
    except stripe.StripeError as error:
        return _unanswered(error, None)
    return _plain(Status.NOT_CHARGED, None, code="not_found")


def _confirm(gateway_id: str, request: Charge) -> stripe.PaymentIntent:
    return _intents().confirm(
        gateway_id,
        {
            "payment_method": request.payment_method,
            "return_url": f"{settings.SITE_URL.rstrip('/')}/orders/{request.order_number}/",
        },
        {"idempotency_key": request.reference},
    )


def _retrieved(gateway_id: str) -> Outcome:
    try:
        return _outcome(_intents().retrieve(gateway_id))
    except stripe.StripeError as error:
        return _unanswered(error, gateway_id)


# -- what an answer means ---------------------------------------------------------------------


def _asked(call: Callable[[], stripe.PaymentIntent], gateway_id: str | None) -> Outcome:
    """The outcome of a request that may move the money of this intent."""
    try:
        return _outcome(call())
    except stripe.CardError as error:
        return _declined(error, gateway_id)
    except stripe.InvalidRequestError as error:
        if error.param == "payment_method":
            return _plain(
                Status.DECLINED, gateway_id, code="invalid_payment_method", message="This card cannot be used."
            )
        # Too late for the state it is in: it was charged or cancelled before. The state is the answer.
        return _retrieved(gateway_id or "")
    except stripe.StripeError as error:
        return _unanswered(error, gateway_id)


def _outcome(intent: stripe.PaymentIntent) -> Outcome:
    """What an intent says, reading only what has the right shape: an answer that makes no sense is UNKNOWN."""
    said = intent.to_dict()
    status = STATUSES.get(_text(said, "status"), Status.UNKNOWN)
    gateway_id = _text(said, "id") or None
    if status is Status.SUCCEEDED:
        return _taken(said, gateway_id)
    failure = _part(said, "last_payment_error")
    if status is Status.NOT_CHARGED and failure:
        return _plain(Status.DECLINED, gateway_id, code=_code(failure), message=_text(failure, "message"))
    return _plain(status, gateway_id, action_url=_text(_part(_part(said, "next_action"), "redirect_to_url"), "url"))


def _taken(said: dict[str, Any], gateway_id: str | None) -> Outcome:
    amount, currency = said.get("amount_received"), _text(said, "currency")
    if not isinstance(amount, int) or not currency:
        return _plain(Status.UNKNOWN, gateway_id, code="malformed")
    return Outcome(status=Status.SUCCEEDED, gateway_id=gateway_id, amount=amount, currency=currency.upper())


def _declined(error: stripe.CardError, gateway_id: str | None) -> Outcome:
    failure = error.error.to_dict() if error.error else {}
    return _plain(
        Status.DECLINED, gateway_id, code=_code(failure), message=error.user_message or "Your card was declined."
    )


def _unanswered(error: stripe.StripeError, gateway_id: str | None) -> Outcome:
    """No word on the money. A wrong key or a wrong account is for a person, so it is logged louder."""
    ours = isinstance(error, stripe.AuthenticationError | stripe.PermissionError | stripe.InvalidRequestError)
    report = log.error if ours else log.warning
    report("gateway.no_answer", gateway_id=gateway_id, status=error.http_status, code=error.code, error=str(error))
    return _plain(Status.UNKNOWN, gateway_id, code=error.code or type(error).__name__)


def _plain(
    status: Status, gateway_id: str | None, *, code: str = "", message: str = "", action_url: str = ""
) -> Outcome:
    return Outcome(
        status=status,
        gateway_id=gateway_id,
        amount=None,
        currency=None,
        code=code,
        message=message,
        action_url=action_url,
    )


def _code(failure: dict[str, Any]) -> str:
    return _text(failure, "decline_code") or _text(failure, "code") or "card_declined"


def _part(said: dict[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


# -- the client -------------------------------------------------------------------------------


def _intents() -> stripe.PaymentIntentService:
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE).v1.payment_intents


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
