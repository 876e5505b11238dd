"""What the shop does when it hears an event."""

from typing import Any
from uuid import UUID

from django.conf import settings

from notifications.mail.events import EmailSent
from notifications.mail.letters import queue_letter
from notifications.pipeline.clock import ClockMinute
from notifications.pipeline.events import publish, seconds, subscribe
from notifications.pipeline.retries import RetryLater
from orders import links, recovery
from orders.events import OrderPlaced, PaymentFailed, PaymentReceived, PaymentUnanswered, ShippingNotified
from orders.models import Order
from orders.recovery import forgotten

SHIPPING_NOTICE = "orders/shipping_notice"


@subscribe(PaymentReceived, queue="mail")
def email_confirmation(event: PaymentReceived) -> None:
    order = Order.objects.get(pk=event.order_id)
    _write("confirmation", order, to=order.email)


@subscribe(PaymentReceived, queue="shipping")
def notify_shipping(event: PaymentReceived) -> None:
    _write("shipping_notice", Order.objects.get(pk=event.order_id), to=settings.SHIPPING_DEPARTMENT_EMAIL)


@subscribe(PaymentFailed, queue="mail")
def email_payment_failed(event: PaymentFailed) -> None:
    order = Order.objects.get(pk=event.order_id)
    _write("payment_failed", order, to=order.email)


@subscribe(EmailSent, queue="shipping", when=lambda event: event.template == SHIPPING_NOTICE)
def record_shipping_notice(event: EmailSent) -> None:
    order = Order.objects.get(pk=int(event.about.removeprefix("order:")))
    publish(ShippingNotified(order_id=order.pk, letter_id=event.letter_id), about=order)


# Both of these talk to, or wait for, the bank: no transaction may be open meanwhile.


@subscribe(OrderPlaced, after=seconds(15), atomic=False)
def settle_unanswered_payment(event: OrderPlaced) -> None:
    recovery.abandon(attempt_id=UUID(event.attempt_id))


@subscribe(PaymentUnanswered, after=seconds(1), atomic=False)
def ask_gateway(event: PaymentUnanswered) -> None:
    again = recovery.ask_gateway(attempt_id=UUID(event.attempt_id))
    if again is not None:
        raise RetryLater(again, "The bank has not told us the outcome yet.")


@subscribe(ClockMinute)
def ask_about_forgotten_payments(event: ClockMinute) -> None:  # noqa: ARG001  the time is all it says
    """Whatever became of the delivery that asks (dead, discarded), an open payment is asked about again."""
    for attempt in forgotten():
        publish(PaymentUnanswered(order_id=attempt.order_id, attempt_id=str(attempt.pk)), about=attempt.order)


def _write(name: str, order: Order, *, to: str) -> None:
    queue_letter(
        once=f"{name}:order:{order.pk}", template=f"orders/{name}", to=to, context=_context(order), about=order
    )


def _context(order: Order) -> dict[str, Any]:
    return {
        "order": order,
        "lines": list(order.lines.order_by("pk")),
        "order_url": links.guest_link(order),
        "attempt": order.last_attempt,
    }
