"""What the shop does when it hears an event."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Model

from accounts.events import EmailVerified
from notifications.mail.events import EmailSent
from notifications.mail.letters import queue_letter
from notifications.pipeline.clock import ClockDay, ClockHour, ClockMinute
from notifications.pipeline.events import publish, seconds, subscribe
from notifications.pipeline.models import Priority
from notifications.pipeline.retries import Retry, RetryLater
from orders import fulfilment, guests, intake, recovery, repairs, repayment, settlement
from orders.books import checkup
from orders.events import (
    BooksCheckAsked,
    DifferenceFound,
    GatewayRefundSeen,
    InventoryLow,
    OrderCancelled,
    OrderPlaced,
    OrderShipped,
    PaymentAuthorized,
    PaymentCameLate,
    PaymentFailed,
    PaymentMismatched,
    PaymentReceived,
    PaymentRefunded,
    PaymentUnanswered,
    RefundFailed,
    RefundRequested,
    ReturnDeclined,
    ReturnRequested,
    ShippingNotified,
)
from orders.gateways.base import GatewaySilent
from orders.letters import write
from orders.models import Difference, Order, PaymentAttempt, Product, Refund, ReturnRequest, Shipment
from orders.recovery import forgotten

SHIPPING_NOTICE = "orders/shipping_notice"
SILENT_FOR = 60.0  # seconds until a gateway that did not answer is asked for its lists again

# -- people -----------------------------------------------------------------------------------


@subscribe(EmailVerified)
def claim_guest_orders(event: EmailVerified) -> None:
    guests.claim(user_id=event.user_id, address_id=event.address_id)


@subscribe(PaymentReceived)
def claim_paid_order(event: PaymentReceived) -> None:
    """After the answer: how long it takes to look for an account tells the buyer nothing."""
    guests.claim_paid(order_id=event.order_id)


@subscribe(PaymentAuthorized)
def claim_order_of_held_money(event: PaymentAuthorized) -> None:
    guests.claim_paid(order_id=event.order_id)


# -- letters to the buyer ---------------------------------------------------------------------


@subscribe(PaymentReceived, queue="mail")
def email_confirmation(event: PaymentReceived) -> None:
    _confirm(event.order_id)


@subscribe(PaymentAuthorized, queue="mail")
def email_confirmation_of_held_money(event: PaymentAuthorized) -> None:
    _confirm(event.order_id)


def _confirm(order_id: int) -> None:
    order = Order.objects.get(pk=order_id)
    if order.status in (Order.Status.CANCELLED, Order.Status.EXPIRED):
        return  # called off before it could be confirmed; another letter tells of that
    write("confirmation", order, to=order.email)


@subscribe(PaymentFailed, queue="mail")
def email_payment_failed(event: PaymentFailed) -> None:
    order = Order.objects.get(pk=event.order_id)
    if order.attempts.filter(pk=event.attempt_id, state=PaymentAttempt.State.MISMATCH).exists():
        return  # the letter about the wrong amount has said it
    write("payment_failed", order, to=order.email)


@subscribe(PaymentMismatched, queue="mail")
def email_wrong_amount(event: PaymentMismatched) -> None:
    order = Order.objects.get(pk=event.order_id)
    only_held = order.attempts.filter(pk=event.attempt_id, captured=0).exists()
    taken: dict[str, Any] = {"taken": event.taken, "taken_currency": event.currency}
    write("wrong_amount", order, to=order.email, only_held=only_held, **taken)


@subscribe(PaymentCameLate, queue="mail")
def email_came_late(event: PaymentCameLate) -> None:
    order = Order.objects.get(pk=event.order_id)
    write("came_late", order, to=order.email, taken=event.amount, taken_currency=event.currency)


@subscribe(OrderCancelled, queue="mail")
def email_cancelled(event: OrderCancelled) -> None:
    order = Order.objects.get(pk=event.order_id)
    write("cancelled", order, to=order.email, reason=event.reason)


@subscribe(PaymentRefunded, queue="mail")
def email_refunded(event: PaymentRefunded) -> None:
    order, refund = Order.objects.get(pk=event.order_id), Refund.objects.get(pk=event.refund_id)
    write("refunded", order, to=order.email, once=str(refund.pk), refund=refund)


@subscribe(OrderShipped, queue="mail")
def email_shipped(event: OrderShipped) -> None:
    order, parcel = Order.objects.get(pk=event.order_id), Shipment.objects.get(pk=event.shipment_id)
    packed = list(parcel.lines.select_related("line").order_by("pk"))
    write("shipped", order, to=order.email, once=str(parcel.pk), parcel=parcel, packed=packed)


@subscribe(ReturnDeclined, queue="mail")
def email_return_declined(event: ReturnDeclined) -> None:
    asked = ReturnRequest.objects.select_related("order").get(pk=event.request_id)
    write("return_declined", asked.order, to=asked.order.email, once=str(asked.pk), answer=asked.answer)


# -- letters to the house ---------------------------------------------------------------------


@subscribe(PaymentReceived, queue="shipping")
def notify_shipping(event: PaymentReceived) -> None:
    _notify_shipping(event.order_id)


@subscribe(PaymentAuthorized, queue="shipping")
def notify_shipping_of_held_money(event: PaymentAuthorized) -> None:
    _notify_shipping(event.order_id)


def _notify_shipping(order_id: int) -> None:
    order = Order.objects.get(pk=order_id)
    if order.status in (Order.Status.CANCELLED, Order.Status.EXPIRED):
        return
    write("shipping_notice", order, to=settings.SHIPPING_DEPARTMENT_EMAIL)


@subscribe(InventoryLow, queue="mail")
def email_inventory_low(event: InventoryLow) -> None:
    product = Product.objects.get(sku=event.sku)
    _alert("inventory_low", once=f"{event.sku}:{event.at}", about=product, product=product, event=event)


@subscribe(RefundFailed, queue="mail")
def alert_refund_failed(event: RefundFailed) -> None:
    refund = Refund.objects.select_related("order").get(pk=event.refund_id)
    _alert("refund_failed", once=event.refund_id, about=refund.order, refund=refund, order=refund.order)


@subscribe(ReturnRequested, queue="mail")
def email_return_requested(event: ReturnRequested) -> None:
    asked = ReturnRequest.objects.select_related("order").get(pk=event.request_id)
    _alert("return_requested", once=str(asked.pk), about=asked.order, asked=asked, order=asked.order)


@subscribe(DifferenceFound, queue="mail")
def alert_difference(event: DifferenceFound) -> None:
    difference = Difference.objects.get(pk=event.difference_id)
    _alert("difference", once=str(difference.pk), about=difference, difference=difference)


@subscribe(EmailSent, queue="shipping", when=lambda event: event.template == SHIPPING_NOTICE)
def record_shipping_notice(event: EmailSent) -> None:
    order = Order.objects.get(pk=int(event.about.removeprefix("order:")))
    publish(ShippingNotified(order_id=order.pk, letter_id=event.letter_id), about=order)


# Both of these talk to, or wait for, the bank: no transaction may be open meanwhile.


@subscribe(OrderPlaced, after=seconds(15), atomic=False, priority=Priority.FIRST)
def settle_unanswered_payment(event: OrderPlaced) -> None:
    recovery.abandon(attempt_id=UUID(event.attempt_id))


@subscribe(PaymentUnanswered, after=seconds(1), atomic=False, priority=Priority.FIRST)
def ask_gateway(event: PaymentUnanswered) -> None:
    again = recovery.ask_gateway(attempt_id=UUID(event.attempt_id))
    if again is not None:
        raise RetryLater(again, "The bank has not told us the outcome yet.")


@subscribe(RefundRequested, after=seconds(2), atomic=False, priority=Priority.FIRST)
def carry_out_refund(event: RefundRequested) -> None:
    again = repayment.carry_out(refund_id=UUID(event.refund_id))
    if again is not None:
        raise RetryLater(again, "The bank has not given the money back yet.")


@subscribe(GatewayRefundSeen, atomic=False, priority=Priority.FIRST)
def write_down_refunds(event: GatewayRefundSeen) -> None:
    try:
        repairs.merge_refunds(attempt_id=UUID(event.attempt_id))
    except GatewaySilent as silence:
        raise RetryLater(SILENT_FOR, f"The bank did not list its refunds: {silence}") from silence


@subscribe(ClockHour, atomic=False)
def compare_with_the_gateway(event: ClockHour) -> None:  # noqa: ARG001
    try:
        settlement.settle_books()
    except GatewaySilent as silence:
        raise RetryLater(SILENT_FOR, f"The bank did not list its payments: {silence}") from silence


# In one transaction it would keep everybody else from writing for as long as it reads.
@subscribe(BooksCheckAsked, atomic=False, retry=Retry(attempts=2), limit=timedelta(minutes=30))
def check_books(event: BooksCheckAsked) -> None:  # noqa: ARG001
    checkup.carry_out()


@subscribe(ClockDay)
def complete_shipped_orders(event: ClockDay) -> None:  # noqa: ARG001
    fulfilment.complete_old()


@subscribe(ClockMinute)
def match_gateway_events(event: ClockMinute) -> None:  # noqa: ARG001
    intake.match_again()


@subscribe(ClockMinute)
def remind_of_forgotten_refunds(event: ClockMinute) -> None:  # noqa: ARG001
    for refund in repayment.forgotten_refunds():
        repayment.remind(refund)


@subscribe(ClockMinute)
def ask_about_forgotten_payments(event: ClockMinute) -> None:  # noqa: ARG001  the time is all it says
    """Whatever became of the delivery that asks (dead, discarded), an open payment is asked about again."""
    for attempt in forgotten():
        publish(PaymentUnanswered(order_id=attempt.order_id, attempt_id=str(attempt.pk)), about=attempt.order)


def _alert(name: str, *, once: str, about: Model, **facts: Any) -> None:
    """To the one who runs the shop."""
    queue_letter(
        once=f"{name}:{once}", template=f"orders/{name}", to=settings.OPERATOR_EMAIL, context=facts, about=about
    )
