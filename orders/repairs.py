"""What mends a difference between the gateway's books and ours, at the press of a button."""

from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import F

from notifications.audit import log as audit
from orders import differences, intake, refunds, repayment
from orders.gateways import stripe
from orders.gateways.base import ListedRefund, RefundAsk, RefundOutcome, RefundStatus, Status
from orders.models import Difference, Order, PaymentAttempt, Refund
from orders.payments import charge_of, settle

Kind = Difference.Kind
STRAY = UUID("0f7d3c51-4f0f-4a51-9a55-6a0c0a6f7b11")  # name space for keys of refunds that have no row of ours


class NotRepaired(Exception):
    """The difference is still there; the message says what a person can do."""


def repair(difference: Difference, *, by: str) -> str:
    """Do what mends this kind of difference. Returns what was done. Raises NotRepaired, GatewaySilent.

    Pressed twice, or by two people at once, it is still done once: every step goes by its own key.
    """
    how = _REPAIRS[Kind(difference.kind)](difference)
    with transaction.atomic():
        if differences.resolve(difference, by=by, how=how):
            audit.decided("difference.repair", about=difference, actor=by)
    return how


def _settle_it(difference: Difference) -> str:
    attempt = PaymentAttempt.objects.select_related("order").get(pk=difference.reference)
    outcome = stripe.find(charge_of(attempt), gateway_id=difference.gateway_id)
    if outcome.status not in (Status.SUCCEEDED, Status.CANCELLED):
        raise NotRepaired(f"The gateway now says {outcome.status}. Ask it again later.")
    order = settle(attempt_id=attempt.pk, outcome=outcome)
    return f"settled: {order} is {order.status}"


def _send_back(difference: Difference) -> str:
    own = str(uuid5(STRAY, difference.gateway_id))
    ask = RefundAsk(
        id=own,
        key=own,
        gateway_id=difference.gateway_id,
        amount=difference.amount,
        currency=difference.currency,
        reason="charged without an order of ours",
        asked_at=difference.found_at,
    )
    outcome = stripe.refund(ask)
    if outcome.status not in (RefundStatus.DONE, RefundStatus.PENDING):
        raise NotRepaired(
            f"The gateway did not give it back ({outcome.code or outcome.status}). Try again, or do it there."
        )
    return f"given back as {outcome.gateway_id}"


def _look_again(difference: Difference) -> str:
    attempt = PaymentAttempt.objects.select_related("order").get(pk=difference.reference)
    outcome = stripe.find(charge_of(attempt), gateway_id=attempt.gateway_id)
    if outcome.status is Status.SUCCEEDED:
        return "the gateway has the payment after all"
    if outcome.status is Status.AUTHORIZED and attempt.state == PaymentAttempt.State.AUTHORIZED:
        return "the gateway holds the money after all"
    raise NotRepaired(f"The gateway says {outcome.status}: no money came. Do not ship; ask the gateway why.")


def _believe_amount(difference: Difference) -> str:
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update(of=("self",)).get(attempts=UUID(difference.reference))
        attempt = order.attempts.get(pk=difference.reference)
        same = attempt.captured_currency == difference.currency
        if not same or difference.amount < max(attempt.refunded, attempt.captured):
            raise NotRepaired(
                "Less came than the order costs, or in another currency: cancel the order, or keep it so."
            )
        extra = difference.amount - attempt.captured
        PaymentAttempt.objects.filter(pk=attempt.pk).update(captured=F("captured") + extra)
        attempt.refresh_from_db()
        refunds.request(order=order, attempt=attempt, amount=extra, cause=Refund.Cause.MISMATCH)
    return f"the surplus of {extra} goes back"


def _write_down_refunds(difference: Difference) -> str:
    attempt = PaymentAttempt.objects.filter(gateway_id=difference.gateway_id).first()
    if attempt is None:
        return "of a payment that is not ours; noted"
    return f"{merge_refunds(attempt_id=attempt.pk)} written down"


def _take_back_refund(difference: Difference) -> str:
    lost = RefundOutcome(status=RefundStatus.FAILED, code="not_at_gateway")
    repayment.settle_refund(refund_id=UUID(difference.reference), outcome=lost)
    return "the refund counts as failed; give it again"


def _match(difference: Difference) -> str:
    intake.match_again()
    if Difference.objects.open().filter(pk=difference.pk).exists():
        raise NotRepaired("Still no payment of ours that it is about. Dismiss it if it belongs to another shop.")
    return "its payment appeared"


_REPAIRS = {
    Kind.UNSETTLED: _settle_it,
    Kind.STRAY_CHARGE: _send_back,
    Kind.MISSING_CHARGE: _look_again,
    Kind.AMOUNT: _believe_amount,
    Kind.STRAY_REFUND: _write_down_refunds,
    Kind.MISSING_REFUND: _take_back_refund,
    Kind.UNMATCHED_EVENT: _match,
}


# -- refunds made at the gateway --------------------------------------------------------------


def merge_refunds(*, attempt_id: UUID) -> int:
    """Ask the gateway for all refunds of a payment, and write down what we do not know yet. Returns how many.

    Raises GatewaySilent.
    """
    attempt = PaymentAttempt.objects.get(pk=attempt_id)
    merged = 0
    for one in reversed(stripe.refunds_of(attempt.gateway_id or "")):
        outcome = RefundOutcome(
            status=one.status, gateway_id=one.gateway_id, amount=one.amount, currency=one.currency, code=one.code
        )
        mine = Refund.objects.filter(gateway_id=one.gateway_id).first() or _ours(one)
        if mine is not None:
            repayment.settle_refund(refund_id=mine.pk, outcome=outcome)
        elif one.status is RefundStatus.DONE:
            merged += _adopt(attempt_id, one)
    return merged


def _ours(one: ListedRefund) -> Refund | None:
    try:
        return Refund.objects.filter(pk=UUID(one.refund)).first()
    except ValueError:
        return None


def _adopt(attempt_id: UUID, one: ListedRefund) -> int:
    return int(repayment.adopt(attempt_id=attempt_id, gateway_id=one.gateway_id, amount=one.amount) is not None)
