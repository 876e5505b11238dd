"""What we promise about money: an order is paid when the gateway says so, once, for the right amount."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from notifications.pipeline.events import publish
from orders import inventory, links, numbers, revising, vouchers
from orders.compensation import undo_paid
from orders.events import (
    OrderCancelled,
    PaymentAuthorized,
    PaymentCameLate,
    PaymentFailed,
    PaymentMismatched,
    PaymentReceived,
    PaymentUnanswered,
)
from orders.gateways.base import Charge, Outcome, Status
from orders.models import Order, PaymentAttempt, Refund
from orders.refunds import request
from orders.status import move

State = PaymentAttempt.State
OTHER_AMOUNT = "mismatch"  # the attempt's code, from when the bank was seen to hold or to have taken another amount
LOST = (Order.Status.DECLINED, Order.Status.EXPIRED)


def charge_of(attempt: PaymentAttempt) -> Charge:
    """The attempt in the gateway's terms; the same however often it is asked for."""
    return Charge(
        reference=str(attempt.pk),
        amount=attempt.amount,
        currency=attempt.currency,
        payment_method=attempt.payment_method,
        order_number=attempt.order.number,
        email=attempt.order.email,
        started_at=attempt.started_at,
        capture_later=attempt.capture_later,
        return_url=links.guest_link(attempt.order),
    )


def settle(*, attempt_id: UUID, outcome: Outcome) -> Order:
    """Write down what the gateway says of this attempt. The only way to an order that is paid.

    Guarded by the attempt's state, so the request, a webhook and recovery may all call it, in any
    order and any number of times: what has its end keeps it, and only money that came after all, or was
    let go, still changes anything. Returns the order.
    """
    with transaction.atomic(durable=True):
        return apply(attempt_id=attempt_id, outcome=outcome)


def apply(*, attempt_id: UUID, outcome: Outcome) -> Order:
    """The same inside the caller's transaction."""
    # With the order's row: two settlements of one order queue up.
    both = PaymentAttempt.objects.select_related("order").select_for_update(of=("order", "self"))
    attempt = both.get(pk=attempt_id)
    order = attempt.order
    if attempt.state in PaymentAttempt.OPEN:
        _settle_open(order, attempt, outcome)
    elif attempt.state == State.AUTHORIZED:
        _settle_held(order, attempt, outcome)
    elif attempt.state in (State.DECLINED, State.EXPIRED) and outcome.status is Status.SUCCEEDED:
        _succeed_late(order, attempt, outcome)
    return order


def _settle_open(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    match outcome.status:
        case Status.SUCCEEDED if not _as_agreed(attempt, outcome):
            _mismatch(order, attempt, outcome)
        case Status.SUCCEEDED:
            _end(attempt, State.SUCCEEDED, outcome)
            _secured(order, attempt)
        case Status.AUTHORIZED if _as_agreed(attempt, outcome):
            _update(attempt, outcome, state=State.AUTHORIZED)
            _secured(order, attempt)
        case Status.AUTHORIZED:
            _refuse_hold(order, attempt, outcome)
        case Status.CANCELLED if attempt.code == OTHER_AMOUNT:
            _end(attempt, State.MISMATCH, outcome, code=OTHER_AMOUNT)
            _lose(order, attempt, to=Order.Status.DECLINED)
        case Status.DECLINED:
            _end(attempt, State.DECLINED, outcome)
            _lose(order, attempt, to=Order.Status.DECLINED)
        case Status.CANCELLED:
            _end(attempt, State.EXPIRED, outcome, code="expired")
            _lose(order, attempt, to=Order.Status.EXPIRED)
        case _:
            _leave_open(order, attempt, outcome)


def _as_agreed(attempt: PaymentAttempt, outcome: Outcome) -> bool:
    return (outcome.amount, outcome.currency) == (attempt.amount, attempt.currency)


# -- it is ours -------------------------------------------------------------------------------


def _secured(order: Order, attempt: PaymentAttempt) -> None:
    """The money is here, or held for us at the bank: what was promised is sold."""
    if attempt.edit is not None:
        if not revising.apply(attempt.edit):
            _give_back(order, attempt, Refund.Cause.LATE)
        return
    inventory.sell(order=order, told_with=_money_is_secured(order, attempt))
    # At the end: whoever takes a number makes the next order wait until our commit.
    numbers.confirm(order)
    order.paid_at = timezone.now()
    move(order, Order.Status.PAID, paid_at=order.paid_at, serial=order.serial)
    if order.cancel_wanted_at is not None:
        undo_paid(order, reason=order.cancel_reason)


def _money_is_secured(order: Order, attempt: PaymentAttempt) -> PaymentReceived | PaymentAuthorized:
    told = PaymentReceived if attempt.state == State.SUCCEEDED else PaymentAuthorized
    return told(order_id=order.pk, attempt_id=str(attempt.pk), amount=attempt.amount, currency=attempt.currency)


def _settle_held(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    """Money that was held is taken at last, or the bank has let it go."""
    if outcome.status is Status.SUCCEEDED and _as_agreed(attempt, outcome):
        _end(attempt, State.SUCCEEDED, outcome)
        publish(_money_is_secured(order, attempt), about=order)
        if order.status == Order.Status.CANCELLED:  # called off while the money was being taken
            _give_back(order, attempt, Refund.Cause.CANCELLED)
    elif outcome.status is Status.SUCCEEDED:
        _mismatch(order, attempt, outcome)
    elif outcome.status is Status.CANCELLED:
        _end(attempt, State.EXPIRED, outcome, code="released")
        if order.status == Order.Status.PAID:
            undo_paid(order, reason="the bank no longer holds the money", to=Order.Status.EXPIRED)
            publish(PaymentFailed(order_id=order.pk, attempt_id=str(attempt.pk), code=attempt.code), about=order)


def _succeed_late(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    """Money came after all. Honoured while the goods are there and nobody has bought them anew; else it goes back."""
    _end(attempt, State.SUCCEEDED, outcome)
    honoured = (
        attempt.edit is None
        and order.status in LOST
        and _as_agreed(attempt, outcome)
        and not _bought_anew(order)
        and inventory.hold_again(order=order)
    )
    if honoured and vouchers.take_again(order):
        _secured(order, attempt)
        return
    if honoured:
        inventory.release(order=order)
    if order.status in LOST:
        move(order, Order.Status.REFUND_DUE, reason="paid too late")
    _give_back(order, attempt, Refund.Cause.LATE)
    told = PaymentCameLate(
        order_id=order.pk,
        attempt_id=str(attempt.pk),
        amount=attempt.captured,
        currency=attempt.captured_currency,
    )
    publish(told, about=order)


def _bought_anew(order: Order) -> bool:
    token = order.cart_token
    return token is not None and Order.objects.of_cart(token).exclude(pk=order.pk).exists()


def _mismatch(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    """Money came, but not what was agreed: nothing is sold for it, and it goes back."""
    _end(attempt, State.MISMATCH, outcome, code=OTHER_AMOUNT)
    if order.status == Order.Status.PLACED:
        move(order, Order.Status.REFUND_DUE, reason="the bank took another amount than agreed")
        inventory.release(order=order)
        vouchers.release(order)
    elif attempt.edit is not None:
        revising.refuse(attempt.edit)
    _give_back(order, attempt, Refund.Cause.MISMATCH)
    _tell_of_mismatch(order, attempt, outcome)


def _tell_of_mismatch(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    told = PaymentMismatched(
        order_id=order.pk,
        attempt_id=str(attempt.pk),
        agreed=attempt.amount,
        taken=outcome.amount or 0,
        currency=outcome.currency or attempt.currency,
    )
    publish(told, about=order)


def _refuse_hold(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    """The bank holds money, but not what was agreed: recovery has it let go, which ends the payment."""
    news = attempt.code != OTHER_AMOUNT
    _leave_open(order, attempt, outcome)
    if news:
        _update(attempt, outcome, code=OTHER_AMOUNT)
        _tell_of_mismatch(order, attempt, outcome)


def _give_back(order: Order, attempt: PaymentAttempt, cause: Refund.Cause) -> None:
    if attempt.captured:
        request(order=order, attempt=attempt, amount=attempt.captured, cause=cause)


# -- it is not --------------------------------------------------------------------------------


def _lose(order: Order, attempt: PaymentAttempt, *, to: Order.Status) -> None:
    if attempt.edit is not None:
        revising.refuse(attempt.edit)
        return
    called_off = to == Order.Status.EXPIRED and order.cancel_wanted_at is not None
    move(order, Order.Status.CANCELLED if called_off else to, reason=order.cancel_reason or attempt.code)
    inventory.release(order=order)
    vouchers.release(order)
    if called_off:
        publish(OrderCancelled(order_id=order.pk, reason=order.cancel_reason), about=order)
    else:
        publish(PaymentFailed(order_id=order.pk, attempt_id=str(attempt.pk), code=attempt.code), about=order)


def _leave_open(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    first = attempt.state == State.IN_FLIGHT
    acting = outcome.status is Status.REQUIRES_ACTION
    state = State.REQUIRES_ACTION if acting else State.UNKNOWN
    _update(attempt, outcome, state=state, action_url=outcome.action_url[:500])
    if first:
        publish(PaymentUnanswered(order_id=order.pk, attempt_id=str(attempt.pk)), about=order)


def _end(attempt: PaymentAttempt, state: PaymentAttempt.State, outcome: Outcome, *, code: str = "") -> None:
    _update(
        attempt,
        outcome,
        state=state,
        captured=outcome.amount or 0,
        captured_currency=outcome.currency or "",
        code=(code or outcome.code)[:60],
        message=outcome.message[:300],
        finished_at=timezone.now(),
    )


def _update(attempt: PaymentAttempt, outcome: Outcome, **changes: Any) -> None:
    changes["gateway_id"] = outcome.gateway_id or attempt.gateway_id
    for name, value in changes.items():
        setattr(attempt, name, value)
    attempt.save(update_fields=list(changes))
