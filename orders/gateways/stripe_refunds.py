"""Giving money back, at most once for each refund we decided on."""

from typing import Any, Final

import stripe

from orders.gateways.base import GatewaySilent, ListedRefund, RefundAsk, RefundOutcome, RefundStatus
from orders.gateways.stripe_client import (
    EVERYBODY_LEFT,
    TOTAL_SECONDS,
    age,
    conversation,
    key_alive,
    log,
    moment,
    part,
    refunds,
    report,
    rows,
    text,
    whole,
)

STATUSES: Final = {
    "succeeded": RefundStatus.DONE,
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
NO_SUCH: Final = "resource_missing"
BROKEN: Final = 500  # kept under the key; what a proxy says (502 to 504) tells nothing of a request that may still run


@conversation()
def refund(ask: RefundAsk) -> RefundOutcome:
    """Give the money back, at most once for this key.

    FAILED when the gateway refuses (more than is left, already refunded, no such charge); UNKNOWN when it did not
    say, which `find_refund` settles. Once the gateway may have forgotten the key, this only looks up.
    """
    if not key_alive(ask.asked_at):
        return _looked_up(ask)
    try:
        made = refunds().create(_wish(ask), {"idempotency_key": ask.key})
    except (stripe.InvalidRequestError, stripe.CardError) as error:
        return _refused(error, ask)
    except stripe.StripeError as error:
        return _unanswered(error, ask)
    return _outcome(made.to_dict())


@conversation()
def find_refund(ask: RefundAsk) -> RefundOutcome:
    """What became of this refund, without moving money.

    NOT_FOUND proves that nothing was given back only when no request can be under way any more.
    """
    return _looked_up(ask)


@conversation()
def refunds_of(gateway_id: str) -> list[ListedRefund]:
    """All refunds of one charge, newest first, whoever made them. Raises GatewaySilent."""
    return [listed(said) for said in _said_of(gateway_id)]


def listed(said: dict[str, Any]) -> ListedRefund:
    """One refund of a list. Raises GatewaySilent when it makes no sense."""
    intent = text(said, "payment_intent") or text(part(said, "payment_intent"), "id")
    amount, created = whole(said, "amount"), moment(said, "created")
    if not text(said, "id") or not text(said, "currency") or amount is None or created is None:
        raise GatewaySilent("malformed")
    return ListedRefund(
        gateway_id=text(said, "id"),
        intent_id=intent,
        refund=text(part(said, "metadata"), "refund"),
        amount=amount,
        currency=text(said, "currency").upper(),
        status=STATUSES.get(text(said, "status"), RefundStatus.UNKNOWN),
        created=created,
        code=text(said, "failure_reason"),
    )


# -- the steps --------------------------------------------------------------------------------


def _wish(ask: RefundAsk) -> stripe.params.RefundCreateParams:
    # Stripe's own `reason` knows three words only; ours are for people, and metadata holds 500 characters.
    noted = {"refund": ask.id} | ({"reason": ask.reason[:500]} if ask.reason else {})
    return {"payment_intent": ask.gateway_id, "amount": ask.amount, "metadata": noted}


def _looked_up(ask: RefundAsk) -> RefundOutcome:
    try:
        for said in _said_of(ask.gateway_id):
            if text(part(said, "metadata"), "refund") == ask.id:
                return _outcome(said)
    except GatewaySilent as silence:
        return RefundOutcome(status=RefundStatus.UNKNOWN, code=str(silence))
    return RefundOutcome(status=RefundStatus.NOT_FOUND, code="not_found")


def _said_of(gateway_id: str) -> list[dict[str, Any]]:
    try:
        return list(rows(refunds().list, {"payment_intent": gateway_id}, seconds=TOTAL_SECONDS))
    except GatewaySilent as silence:
        if str(silence) == NO_SUCH:  # no such charge, so no refunds of it
            return []
        raise


def _refused(error: stripe.StripeError, ask: RefundAsk) -> RefundOutcome:
    """A refusal is believed only after a look: "already refunded" may be the echo of this very refund."""
    log.warning("gateway.refused_refund", refund=ask.id, code=error.code, error=str(error))
    found = _looked_up(ask)
    if found.status is not RefundStatus.NOT_FOUND:
        return found
    return RefundOutcome(
        status=RefundStatus.FAILED,
        code=error.code or "refused",
        message=error.user_message or "The refund was refused.",
    )


def _unanswered(error: stripe.StripeError, ask: RefundAsk) -> RefundOutcome:
    """Nothing was said of the money. A server error is repeated under its key for a day, but the list may know.

    What is not in the list by the time that everybody has left never will be under this key: it is spent.
    """
    report(error, gateway_id=ask.gateway_id)
    found = _looked_up(ask) if (error.http_status or 0) >= 500 else None
    if found is not None and found.status is not RefundStatus.NOT_FOUND:
        return found
    over = found is not None and error.http_status == BROKEN and age(ask.asked_at) > EVERYBODY_LEFT
    spent = ask.key if over else ""
    return RefundOutcome(status=RefundStatus.UNKNOWN, code=error.code or type(error).__name__, spent_key=spent)


def _outcome(said: dict[str, Any]) -> RefundOutcome:
    try:
        made = listed(said)
    except GatewaySilent as silence:
        return RefundOutcome(status=RefundStatus.UNKNOWN, code=str(silence))
    return RefundOutcome(
        status=made.status, gateway_id=made.gateway_id, amount=made.amount, currency=made.currency, code=made.code
    )
