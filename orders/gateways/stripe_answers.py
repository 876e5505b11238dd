"""What Stripe's answers mean in the port's words. An answer that makes no sense is UNKNOWN, never an exception."""

from typing import Any, Final

import stripe

from orders.gateways.base import Outcome, Status
from orders.gateways.stripe_client import part, report, text, whole

STATUSES: Final = {
    "succeeded": Status.SUCCEEDED,
    "requires_capture": Status.AUTHORIZED,
    "canceled": Status.CANCELLED,
    "requires_action": Status.REQUIRES_ACTION,
    "requires_confirmation": Status.NOT_CHARGED,
    "requires_payment_method": Status.NOT_CHARGED,
}
MONEY_OF: Final = {Status.SUCCEEDED: "amount_received", Status.AUTHORIZED: "amount_capturable"}


def outcome_of(intent: stripe.PaymentIntent) -> Outcome:
    """What an intent says."""
    return read(intent.to_dict())


def read(said: dict[str, Any]) -> Outcome:
    """What an intent says, as plain JSON."""
    status = STATUSES.get(text(said, "status"), Status.UNKNOWN)
    gateway_id = text(said, "id") or None
    if status in MONEY_OF:
        return _with_money(status, said, gateway_id)
    failure = part(said, "last_payment_error")
    if status is Status.NOT_CHARGED and failure:
        return plain(Status.DECLINED, gateway_id, code=_code(failure), message=text(failure, "message"))
    return plain(status, gateway_id, action_url=text(part(part(said, "next_action"), "redirect_to_url"), "url"))


def _with_money(status: Status, said: dict[str, Any], gateway_id: str | None) -> Outcome:
    amount, currency = whole(said, MONEY_OF[status]), text(said, "currency")
    if amount is None or not currency:
        return plain(Status.UNKNOWN, gateway_id, code="malformed")
    return Outcome(status=status, gateway_id=gateway_id, amount=amount, currency=currency.upper())


def declined(error: stripe.CardError, gateway_id: str | None) -> Outcome:
    failure = error.error.to_dict() if error.error else {}
    return plain(
        Status.DECLINED, gateway_id, code=_code(failure), message=error.user_message or "Your card was declined."
    )


def unanswered(error: stripe.StripeError, gateway_id: str | None) -> Outcome:
    """No word on the money."""
    report(error, gateway_id=gateway_id)
    return plain(Status.UNKNOWN, gateway_id, code=error.code or type(error).__name__)


def plain(
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
    return text(failure, "decline_code") or text(failure, "code") or "card_declined"
