"""An order's life as data, and the one statement that moves it."""

from collections.abc import Mapping

from notifications import correlation
from orders.models import Order, StatusChange

S = Order.Status

# To which status from which: anything else is refused.
FROM: Mapping[str, tuple[str, ...]] = {
    S.PAID: (S.PLACED, S.DECLINED, S.EXPIRED),  # the latter two when money comes late and the goods are still there
    S.DECLINED: (S.PLACED,),
    S.EXPIRED: (S.PLACED, S.PAID),  # paid: the bank let go of money that it only held
    S.CANCELLED: (S.PLACED, S.PAID),
    S.PARTLY_SHIPPED: (S.PAID,),
    S.SHIPPED: (S.PAID, S.PARTLY_SHIPPED),
    S.COMPLETED: (S.SHIPPED,),
    # From refunded: the buyer's bank sent the money back to us.
    S.REFUND_DUE: (S.PLACED, S.DECLINED, S.EXPIRED, S.PAID, S.PARTLY_SHIPPED, S.SHIPPED, S.COMPLETED, S.REFUNDED),
    S.REFUNDED: (S.REFUND_DUE,),
}


class WrongStatus(Exception):
    """The order is not in a status from which this move exists; somebody else moved it first."""


def start(order: Order) -> None:
    StatusChange.objects.create(order=order, to_status=order.status, actor=correlation.actor())


def move(order: Order, to: Order.Status, *, reason: str = "", **facts: object) -> None:
    """Move `order`, write down who and when. Raises WrongStatus when it cannot go there from where it is."""
    was = order.status
    if not Order.objects.filter(pk=order.pk, status__in=FROM[to], status=was).update(status=to, **facts):
        raise WrongStatus(f"{order} cannot go from {was} to {to}")
    order.status = to
    StatusChange.objects.create(order=order, from_status=was, to_status=to, actor=correlation.actor(), reason=reason)
