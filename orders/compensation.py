"""What undoes a paid order: its goods are for sale again, its money goes back. One transaction, the caller's."""

from notifications.pipeline.events import publish
from orders import inventory
from orders.events import OrderCancelled, PaymentUnanswered
from orders.models import Order, OrderLine, PaymentAttempt, Refund, StockMovement
from orders.refunds import request
from orders.repayment import refundable
from orders.status import move


def undo_paid(order: Order, *, reason: str, to: Order.Status = Order.Status.CANCELLED) -> None:
    """Call off a paid order of which nothing has left, inside a transaction that holds its row.

    Money taken is requested back; money only held at the bank is let go by the same question that follows up
    unanswered payments. Raises WrongStatus when the order has moved on.
    """
    move(order, to, reason=reason)
    _restock(order)
    if refundable(order):
        request(order=order, amount=refundable(order), cause=Refund.Cause.CANCELLED, reason=reason)
    for attempt in order.attempts.filter(state=PaymentAttempt.State.AUTHORIZED):
        publish(PaymentUnanswered(order_id=order.pk, attempt_id=str(attempt.pk)), about=order)
    if to == Order.Status.CANCELLED:
        publish(OrderCancelled(order_id=order.pk, reason=reason), about=order)


def _restock(order: Order) -> None:
    back = {line: line.shippable for line in order.lines.select_related("product").order_by("product_id")}
    for line, count in back.items():
        OrderLine.objects.filter(pk=line.pk).update(cancelled=line.cancelled + count)
    inventory.put_back(order=order, units=back, reason=StockMovement.Reason.CANCELLED)
