"""The marks of an order's money and goods, for staff's pages."""

from typing import Final

from django import template
from django.utils.safestring import SafeString

from notifications.marks import badge
from orders.models import Refund

register = template.Library()

_REFUNDS: Final = {
    Refund.State.REQUESTED: ("Decided", "busy"),
    Refund.State.IN_FLIGHT: ("With the bank", "busy"),
    Refund.State.PENDING: ("Accepted by the bank", "busy"),
    Refund.State.UNKNOWN: ("Not known yet", "warn"),
    Refund.State.DONE: ("Done", "good"),
    Refund.State.FAILED: ("Failed", "bad"),
}


@register.filter
def refund_badge(refund: Refund) -> SafeString:
    return badge(*_REFUNDS[Refund.State(refund.state)])
