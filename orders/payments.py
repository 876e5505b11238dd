"""What we promise about money: an order is paid when the gateway says so, once, for the right amount."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from notifications.pipeline.events import publish
from orders import inventory
from orders.events import PaymentFailed, PaymentReceived, PaymentUnanswered
from orders.gateways.base import Charge, Outcome, Status
from orders.models import Order, PaymentAttempt
from orders.status import move

State = PaymentAttempt.State


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
    )


def settle(*, attempt_id: UUID, outcome: Outcome) -> Order:
    """Write down what the gateway says of this attempt. The only function that may call an order paid.

    Guarded by the attempt's state, so the request, a webhook and recovery may all call it, in any
    order and any number of times: an attempt that has its end keeps it. Returns the order.
    """
    with transaction.atomic(durable=True):
        # Order before attempt, everywhere: two settlements of one order queue up, and never in a circle.
        order = Order.objects.select_for_update(of=("self",)).get(attempts=attempt_id)
        attempt = PaymentAttempt.objects.select_for_update().get(pk=attempt_id)
        if attempt.state in PaymentAttempt.OPEN:
            _settle_open(order, attempt, outcome)
    return order


def _settle_open(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    match outcome.status:
        case Status.SUCCEEDED if _as_agreed(attempt, outcome):
            _succeed(order, attempt, outcome)
        case Status.SUCCEEDED:
            # Money came, but not what was agreed: neither paid nor free to sell to others. A person decides.
            _end(attempt, State.MISMATCH, outcome, code="mismatch")
        case Status.DECLINED:
            _end(attempt, State.DECLINED, outcome)
            _fail(order, attempt, to=Order.Status.DECLINED)
        case Status.CANCELLED:
            _end(attempt, State.EXPIRED, outcome, code="expired")
            _fail(order, attempt, to=Order.Status.EXPIRED)
        case _:
            _leave_open(order, attempt, outcome)


def _as_agreed(attempt: PaymentAttempt, outcome: Outcome) -> bool:
    return (outcome.amount, outcome.currency) == (attempt.amount, attempt.currency)


def _succeed(order: Order, attempt: PaymentAttempt, outcome: Outcome) -> None:
    _end(attempt, State.SUCCEEDED, outcome)
    move(order, Order.Status.PAID, paid_at=attempt.finished_at)
    order.paid_at = attempt.finished_at
    inventory.sell(order=order)
    publish(
        PaymentReceived(
            order_id=order.pk, attempt_id=str(attempt.pk), amount=attempt.amount, currency=attempt.currency
        ),
        about=order,
    )


def _fail(order: Order, attempt: PaymentAttempt, *, to: Order.Status) -> None:
    move(order, to, reason=attempt.code)
    inventory.release(order=order)
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
        code=(code or outcome.code)[:60],
        message=outcome.message[:300],
        finished_at=timezone.now(),
    )


def _update(attempt: PaymentAttempt, outcome: Outcome, **changes: Any) -> None:
    changes["gateway_id"] = outcome.gateway_id or attempt.gateway_id
    for name, value in changes.items():
        setattr(attempt, name, value)
    attempt.save(update_fields=list(changes))
