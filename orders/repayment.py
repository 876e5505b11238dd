"""A refund that is decided, until it has its end: asked of the gateway under its own id, and written down."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, Sum
from django.utils import timezone

from notifications.pipeline.events import publish
from orders import numbers
from orders.events import PaymentRefunded, RefundFailed, RefundRequested
from orders.gateways import stripe
from orders.gateways.base import RefundAsk, RefundOutcome, RefundStatus
from orders.models import Order, OrderLine, PaymentAttempt, Refund
from orders.status import move

State, Cause = Refund.State, Refund.Cause
S = Order.Status
AT_WORK_FOR = timedelta(seconds=12)  # the gateway's ten-second limit and some time to commit
ASK_AGAIN = 2.0  # seconds
LONGEST_WAIT = 60.0  # seconds


def refundable(order: Order) -> int:
    """What is left of the money taken for this order, in minor units."""
    sums = order.attempts.aggregate(taken=Sum("captured"), back=Sum("refunded"))
    return (sums["taken"] or 0) - (sums["back"] or 0)


def requested(made: Refund) -> RefundRequested:
    return RefundRequested(order_id=made.order_id, refund_id=str(made.pk), amount=made.amount, currency=made.currency)


def carry_out(*, refund_id: UUID) -> float | None:
    """Ask the gateway for this refund under its own key, and write down what it says.

    Returns None when the refund has its end, or after how many seconds to call again.
    """
    now = timezone.now()
    free = ~Q(state=State.IN_FLIGHT) | Q(asked_at__lt=now - AT_WORK_FOR)
    if not Refund.objects.open().filter(free, pk=refund_id).update(state=State.IN_FLIGHT, asked_at=now):
        return ASK_AGAIN if Refund.objects.open().filter(pk=refund_id).exists() else None
    refund = Refund.objects.select_related("attempt").get(pk=refund_id)
    settle_refund(refund_id=refund_id, outcome=_asked(refund))
    if not Refund.objects.open().filter(pk=refund_id).exists():
        return None
    return min(max((timezone.now() - refund.created_at).total_seconds() / 4, ASK_AGAIN), LONGEST_WAIT)


def _asked(refund: Refund) -> RefundOutcome:
    """A refund that the gateway has is looked up: under its key it would repeat its first answer for a day."""
    if refund.gateway_id is None:
        return stripe.refund(_ask_of(refund))
    found = stripe.find_refund(_ask_of(refund))
    lost = found.status is RefundStatus.NOT_FOUND
    return RefundOutcome(status=RefundStatus.UNKNOWN, code=found.code) if lost else found


def _ask_of(refund: Refund) -> RefundAsk:
    return RefundAsk(
        id=str(refund.pk),
        key=refund.key,
        gateway_id=refund.attempt.gateway_id or "",
        amount=refund.amount,
        currency=refund.currency,
        reason=refund.get_cause_display(),  # never what somebody typed: nobody could erase it there
        asked_at=refund.created_at,
    )


def settle_refund(*, refund_id: UUID, outcome: RefundOutcome) -> Refund:
    """Write down what the gateway says of this refund; any number of times, in any order."""
    with transaction.atomic(durable=True):
        return apply_refund(refund_id=refund_id, outcome=outcome)


def apply_refund(*, refund_id: UUID, outcome: RefundOutcome) -> Refund:
    """The same inside the caller's transaction."""
    order = Order.objects.select_for_update(of=("self",)).get(refunds=refund_id)
    refund = Refund.objects.select_for_update(of=("self",)).select_related("attempt").get(pk=refund_id)
    refund.order = order
    match outcome.status:
        case RefundStatus.DONE if refund.state != State.DONE:
            _done(refund, outcome)
        case RefundStatus.FAILED | RefundStatus.NOT_FOUND if refund.state != State.FAILED:
            _failed(refund, outcome)
        case RefundStatus.PENDING | RefundStatus.UNKNOWN if refund.state in Refund.OPEN:
            pending = outcome.status is RefundStatus.PENDING
            spent = refund.spent_keys + (outcome.spent_key == refund.key)
            _write(refund, outcome, state=State.PENDING if pending else State.UNKNOWN, spent_keys=spent)
    return refund


def _done(refund: Refund, outcome: RefundOutcome) -> None:
    if refund.state == State.FAILED and not _count_again(refund):
        return  # its part was given back by another refund meanwhile: settlement shows the difference
    _write(refund, outcome, state=State.DONE, finished_at=timezone.now(), code="", message="")
    numbers.credit_note(refund)
    told = PaymentRefunded(
        order_id=refund.order_id, refund_id=str(refund.pk), amount=refund.amount, currency=refund.currency
    )
    publish(told, about=refund.order)
    if refund.order.status == S.REFUND_DUE and _all_is_back(refund.order):
        move(refund.order, S.REFUNDED, reason=refund.reason)


def _count_again(refund: Refund) -> bool:
    room = PaymentAttempt.objects.filter(pk=refund.attempt_id, captured__gte=F("refunded") + refund.amount)
    return bool(room.update(refunded=F("refunded") + refund.amount))


def _all_is_back(order: Order) -> bool:
    back = order.refunds.filter(state=State.DONE).aggregate(sum=Sum("amount"))["sum"]
    return bool(back == order.attempts.aggregate(sum=Sum("captured"))["sum"])


def _failed(refund: Refund, outcome: RefundOutcome) -> None:
    """The gateway, or the buyer's bank, would not: the money is ours again until a person finds another way."""
    if refund.state == State.DONE and refund.order.status == S.REFUNDED:
        move(refund.order, S.REFUND_DUE, reason=outcome.code or "refund failed")
    _write(
        refund,
        outcome,
        state=State.FAILED,
        finished_at=timezone.now(),
        code=(outcome.code or outcome.status)[:60],
        message=outcome.message[:300],
    )
    PaymentAttempt.objects.filter(pk=refund.attempt_id).update(refunded=F("refunded") - refund.amount)
    for sku, count in refund.lines:
        OrderLine.objects.filter(order=refund.order_id, sku=sku).update(refunded=F("refunded") - count)
    publish(RefundFailed(order_id=refund.order_id, refund_id=str(refund.pk), code=refund.code), about=refund.order)


def _write(refund: Refund, outcome: RefundOutcome, **changes: object) -> None:
    changes["gateway_id"] = outcome.gateway_id or refund.gateway_id
    for name, value in changes.items():
        setattr(refund, name, value)
    refund.save(update_fields=list(changes))


def adopt(*, attempt_id: UUID, gateway_id: str, amount: int) -> Refund | None:
    """Write down a refund that was made at the gateway itself. None when it is more than our books have left."""
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update(of=("self",)).get(attempts=attempt_id)
        attempt = PaymentAttempt.objects.get(pk=attempt_id)
        if Refund.objects.filter(gateway_id=gateway_id).exists():
            return None
        room = PaymentAttempt.objects.filter(pk=attempt_id, captured__gte=F("refunded") + amount)
        if not room.update(refunded=F("refunded") + amount):
            return None
        made = Refund.objects.create(
            order=order,
            attempt=attempt,
            amount=amount,
            currency=attempt.captured_currency,
            cause=Cause.GATEWAY,
            actor="gateway",
        )
        if refundable(order) == 0 and order.status in (S.PAID, S.PARTLY_SHIPPED, S.SHIPPED, S.COMPLETED):
            move(order, S.REFUND_DUE, reason="given back at the gateway")
        outcome = RefundOutcome(status=RefundStatus.DONE, gateway_id=gateway_id, amount=amount)
        return apply_refund(refund_id=made.pk, outcome=outcome)


def forgotten_refunds() -> list[Refund]:
    """Open refunds of more than a minute that nobody has asked about lately."""
    silent_since = timezone.now() - timedelta(seconds=LONGEST_WAIT * 2)
    old = Q(asked_at__lt=silent_since) | Q(asked_at=None, created_at__lt=silent_since)
    return list(Refund.objects.open().filter(old).select_related("order"))


def remind(refund: Refund) -> None:
    """Have a forgotten refund carried out. Inside a transaction."""
    publish(requested(refund), about=refund.order)
