"""The one adapter: Stripe, or the bank stand-in that speaks its language (STRIPE_API_BASE).

Charging takes two steps: *create* opens a payment intent under the attempt's key and moves nothing; *confirm* moves
the money. So the intent of an attempt can be looked up without charging it, and cancelling it is a fence
(docs/decisions/0001-two-step-charge.md). With `capture_later`, confirm only holds the money, and `capture` takes it.

The shop uses the gateway through this module alone: what belongs to refunds, lists and webhooks is named here too.
"""

from collections.abc import Callable

import stripe
from django.conf import settings

from orders.gateways.base import Charge, GatewaySilent, Outcome, Status
from orders.gateways.stripe_answers import declined, outcome_of, plain, read, unanswered
from orders.gateways.stripe_client import (
    CLOCKS_DIFFER,
    EVERYBODY_LEFT,
    TOTAL_SECONDS,
    age,
    conversation,
    intents,
    key_alive,
    log,
    part,
    rows,
    text,
)
from orders.gateways.stripe_lists import charges_since, refunds_since
from orders.gateways.stripe_refunds import find_refund, refund, refunds_of
from orders.gateways.stripe_webhooks import told, verified

__all__ = [
    "cancel",
    "capture",
    "charge",
    "charges_since",
    "find",
    "find_refund",
    "refund",
    "refunds_of",
    "refunds_since",
    "told",
    "verified",
]


@conversation()
def charge(request: Charge) -> Outcome:
    """Take the money, or hold it when `capture_later`, at most once for this reference.

    Never raises for what the gateway or the network does: whatever leaves the truth open is UNKNOWN, and `find` tells
    later. Once the gateway may have forgotten the attempt's key, this only looks up, like `find`.
    """
    opened = _located(request, None)
    if opened.gateway_id is None or opened.status is not Status.NOT_CHARGED or not key_alive(request.started_at):
        return opened
    return _confirmed(opened.gateway_id, request)


@conversation()
def find(request: Charge, gateway_id: str | None = None) -> Outcome:
    """What became of this charge, without moving money. UNKNOWN when the gateway cannot say now.

    A card that `charge` called DECLINED because the gateway does not know it leaves no trace there: that is
    NOT_CHARGED here, and stays so until it is cancelled. NOT_CHARGED without a gateway_id (code "not_opened") means
    that nothing was opened: there is nothing to wait for, and `cancel` says CANCELLED.
    """
    located = _located(request, gateway_id)
    if located.gateway_id is None:
        return located
    return _retrieved(located.gateway_id)


@conversation()
def capture(gateway_id: str) -> Outcome:
    """Take all of the money that is held.

    SUCCEEDED says that it was taken, now or before. When it is too late (cancelled, expired at the gateway), the state
    that the charge really has; UNKNOWN when the gateway did not say: `find` tells. There is no key: what was taken
    cannot be taken twice, and a key would repeat a server error for a day.
    """
    return _asked(lambda: intents().capture(gateway_id), gateway_id)


@conversation()
def cancel(request: Charge, gateway_id: str | None = None) -> Outcome:
    """Make sure that this charge is not taken any more; money that was only held is let go.

    CANCELLED is a fence: not even a request still under way can charge now. SUCCEEDED says that the money was already
    taken, UNKNOWN that there is no fence yet.
    """
    located = _located(request, gateway_id)
    if located.gateway_id is None:
        # Nothing was opened: the gateway refuses to, or the attempt is older than its key. Nothing can be confirmed.
        fenced = located.status is Status.NOT_CHARGED
        return Outcome(**{**vars(located), "status": Status.CANCELLED}) if fenced else located
    return _asked(lambda: intents().cancel(located.gateway_id or ""), located.gateway_id)


# -- the steps --------------------------------------------------------------------------------


def _located(request: Charge, gateway_id: str | None) -> Outcome:
    if gateway_id is not None:
        return plain(Status.UNKNOWN, gateway_id)
    return _opened(request) if key_alive(request.started_at) else _searched(request, code="not_found")


def _opened(request: Charge) -> Outcome:
    """The intent of this attempt: made now, or the one that its key already made."""
    try:
        intent = intents().create(_wish(request), {"idempotency_key": f"{request.reference}-create"})
    except stripe.InvalidRequestError as error:
        log.error("gateway.refused_request", reference=request.reference, code=error.code, error=str(error))
        return plain(Status.NOT_CHARGED, None, code=error.code or "invalid_request")
    except stripe.StripeError as error:
        outcome = unanswered(error, None)
        # The gateway keeps a server error under the key and gives it again for a day: the list knows more.
        kept = (error.http_status or 0) >= 500 and request.started_at is not None
        return _searched(request, code="not_opened") if kept else outcome
    return outcome_of(intent)


def _wish(request: Charge) -> stripe.params.PaymentIntentCreateParams:
    """Only what never changes for an attempt: a key is refused when it comes back with something else."""
    wish: stripe.params.PaymentIntentCreateParams = {
        "amount": request.amount,
        "currency": request.currency.lower(),
        "description": f"Order {request.order_number}",
        "metadata": {"reference": request.reference, "order": request.order_number},
        "allowed_payment_method_types": ["card"],
    }
    if request.capture_later:
        wish["capture_method"] = "manual"
    return wish


def _searched(request: Charge, *, code: str) -> Outcome:
    """The intent of an attempt that its key does not give us (any more): looked for in the list, around its start.

    The list is complete the moment an intent is made, unlike the gateway's search by metadata, which lags. So what is
    not in it was not opened, once everybody who may have been opening it has left.
    """
    assert request.started_at is not None
    since = int((request.started_at - CLOCKS_DIFFER).timestamp())
    until = int((request.started_at + CLOCKS_DIFFER).timestamp())
    try:
        for said in rows(intents().list, {"created": {"gte": since, "lte": until}}, seconds=TOTAL_SECONDS):
            if text(part(said, "metadata"), "reference") == request.reference:
                return read(said)
    except GatewaySilent as silence:
        return plain(Status.UNKNOWN, None, code=str(silence))
    certain = age(request.started_at) > EVERYBODY_LEFT
    return plain(Status.NOT_CHARGED if certain else Status.UNKNOWN, None, code=code)


def _confirmed(gateway_id: str, request: Charge) -> Outcome:
    try:
        return outcome_of(_confirm(gateway_id, request))
    except stripe.CardError as error:
        return declined(error, gateway_id)
    except stripe.InvalidRequestError as error:
        if error.param == "payment_method":
            return plain(
                Status.DECLINED, gateway_id, code="invalid_payment_method", message="This card cannot be used."
            )
        return _retrieved(gateway_id)  # too late for the state it is in, as in `_asked`
    except stripe.StripeError as error:
        return unanswered(error, gateway_id)


def _confirm(gateway_id: str, request: Charge) -> stripe.PaymentIntent:
    return intents().confirm(
        gateway_id,
        {
            "payment_method": request.payment_method,
            "return_url": request.return_url or f"{settings.SITE_URL}/orders/{request.order_number}/",
        },
        {"idempotency_key": request.reference},
    )


def _asked(call: Callable[[], stripe.PaymentIntent], gateway_id: str) -> Outcome:
    """The outcome of a request to take what is held, or to let it go."""
    try:
        return outcome_of(call())
    except (stripe.InvalidRequestError, stripe.CardError):
        # Too late for the state it is in: it was taken or cancelled before. The state is the answer.
        return _retrieved(gateway_id)
    except stripe.StripeError as error:
        return unanswered(error, gateway_id)


def _retrieved(gateway_id: str) -> Outcome:
    try:
        return outcome_of(intents().retrieve(gateway_id))
    except stripe.StripeError as error:
        return unanswered(error, gateway_id)
