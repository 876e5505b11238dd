"""Where an order stands, as its buyer reads it: never "failed" while money is kept, never "paid" before it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orders.models import Order, OrderEdit, PaymentAttempt, Refund, Shipment
from orders.recovery import TIME_TO_APPROVE

S, State = Order.Status, PaymentAttempt.State
ON_THEIR_WAY = (S.PARTLY_SHIPPED, S.SHIPPED, S.COMPLETED, S.REFUND_DUE, S.REFUNDED)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the order's page says beyond the order's own columns. Amounts in minor units."""

    news: str  # which sentence of orders/_news.html is true now
    payment: str  # which word of orders/_badges.html
    approve_url: str  # the bank's page, where the buyer must say yes
    approve_until: datetime | None
    coming_back: int  # money on its way to the buyer
    given_back: int
    currency_back: str
    parcels: Sequence[Shipment]
    can_cancel: bool


def standing(order: Order) -> Standing:
    """Reads refunds and parcels only where the order may have some; `attempts` should be prefetched."""
    refunds, waits = _refunds(order), _to_approve(order)
    return Standing(
        news=_news(order, refunds, waits),
        payment=_payment(order, refunds),
        approve_url=waits.action_url if waits else "",
        approve_until=_approve_until(waits) if waits else None,
        coming_back=sum(refund.amount for refund in refunds if refund.state in Refund.OPEN),
        given_back=sum(refund.amount for refund in refunds if refund.state == Refund.State.DONE),
        currency_back=refunds[0].currency if refunds else order.currency,
        parcels=_parcels(order),
        can_cancel=can_be_cancelled(order),
    )


def can_be_cancelled(order: Order) -> bool:
    """By its buyer: nothing has left, nobody has asked for it before, and no change of it is being paid."""
    if order.status not in (S.PLACED, S.PAID) or order.cancel_wanted_at is not None:
        return False
    changes = [attempt for attempt in order.attempts.all() if attempt.purpose == attempt.Purpose.DIFFERENCE]
    return not changes or not order.edits.filter(state=OrderEdit.State.PENDING).exists()


def held_until(order: Order) -> datetime | None:
    """Until when the things of an order in payment are kept; the bank's question is withdrawn before that."""
    waits = _to_approve(order)
    ends = [hold.expires_at for hold in order.holds.all() if hold.state == hold.State.HELD]
    ends += [_approve_until(waits)] if waits else []
    return min(ends, default=None)


def _approve_until(attempt: PaymentAttempt) -> datetime:
    return attempt.started_at + TIME_TO_APPROVE


def _to_approve(order: Order) -> PaymentAttempt | None:
    waiting = (attempt for attempt in order.attempts.all() if attempt.state == State.REQUIRES_ACTION)
    return next((attempt for attempt in waiting if attempt.action_url), None)


def _refunds(order: Order) -> list[Refund]:
    """Of a failed one the sums keep no trace; it matters to the buyer where the order promises money back."""
    promised = order.status in (S.REFUND_DUE, S.REFUNDED, S.CANCELLED)
    maybe = promised or any(attempt.refunded for attempt in order.attempts.all())
    return list(order.refunds.order_by("created_at")) if maybe else []


def _parcels(order: Order) -> Sequence[Shipment]:
    if order.status not in ON_THEIR_WAY:
        return []
    return list(order.shipments.order_by("pk").prefetch_related("lines__line"))


def _news(order: Order, refunds: Sequence[Refund], waits: PaymentAttempt | None) -> str:
    if order.status == S.PLACED and order.cancel_wanted_at is not None:
        return "cancelling"
    if waits is not None:
        return "approve" if waits.purpose == waits.Purpose.ORDER else "approve_change"
    if order.status == S.PLACED:
        return "pending" if order.payment_status == "pending" else "checking"
    if order.status in (S.REFUND_DUE, S.CANCELLED) and refunds and refunds[-1].state == Refund.State.FAILED:
        return "refund_again"
    if order.status == S.DECLINED and order.last_attempt and order.last_attempt.state == State.MISMATCH:
        return "let_go"
    if order.status in (S.REFUND_DUE, S.REFUNDED):
        return _why_back(refunds) or str(order.status)
    if order.status == S.PAID and order.payment_status == "authorized":
        return "held"
    return str(order.status)


def _why_back(refunds: Sequence[Refund]) -> str:
    causes = {Refund.Cause(refund.cause) for refund in refunds}
    found = (cause for cause in (Refund.Cause.LATE, Refund.Cause.MISMATCH) if cause in causes)
    return next((str(cause) for cause in found), "")


def _payment(order: Order, refunds: Sequence[Refund]) -> str:
    """In one word. What was asked back and is not back yet is on its way, whatever the sums say."""
    if any(refund.state in Refund.OPEN for refund in refunds) or order.status == S.REFUND_DUE:
        return "coming_back"
    if order.status == S.CANCELLED and not refunds:
        return "not_charged"
    return order.payment_status
