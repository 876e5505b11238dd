"""The words and colours of an order's two states."""

from typing import Final

from django.utils.safestring import SafeString

from notifications.marks import badge
from orders.models import Order

_PAYMENT: Final = {
    "paid": ("Paid", "good"),
    "pending": ("With the bank", "busy"),
    "checking": ("Checking", "warn"),
    "requires_action": ("Waits for the buyer", "warn"),
    "authorized": ("Held at the bank", "busy"),
    "partly_refunded": ("Partly refunded", "warn"),
    "refunded": ("Refunded", "calm"),
    "declined": ("Declined", "calm"),
    "expired": ("Expired", "calm"),
}
_TONES: Final = {
    Order.Status.PLACED: "busy",
    Order.Status.PAID: "busy",
    Order.Status.PARTLY_SHIPPED: "busy",
    Order.Status.SHIPPED: "good",
    Order.Status.COMPLETED: "good",
    Order.Status.REFUND_DUE: "bad",
}


def payment_badge(order: Order) -> SafeString:
    return badge(*_PAYMENT[order.payment_status])


def status_badge(order: Order) -> SafeString:
    status = Order.Status(order.status)
    return badge("To ship" if status == Order.Status.PAID else status.label, _TONES.get(status, "calm"))
