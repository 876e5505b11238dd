"""Placed, paid, packed, shipped: how far an order is, and what it is called when it ends otherwise."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from orders.models import Order

S = Order.Status
_ENDED = (S.DECLINED, S.EXPIRED, S.CANCELLED, S.REFUND_DUE, S.REFUNDED)
_GIVEN_BACK = (S.REFUND_DUE, S.REFUNDED)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A stage of the order. state: done, current, todo or failed."""

    name: str
    state: str
    at: datetime | None


def progress(order: Order) -> list[Step]:
    """Placed, paid, packed, shipped: what is done, and which one is being worked on, or where it ended."""
    some, whole = _shipped(order)
    reached = [
        (_("Placed"), True, order.placed_at),
        (_("Paid"), order.paid_at is not None, order.paid_at),
        (_("Packed"), some, None),
        (_("Partly shipped") if some and not whole else _("Shipped"), whole, None),
    ]
    steps, current_found = [], False
    for name, done, at in reached:
        first = not done and not current_found
        state = "done" if done else _undone_state(order, first=first)
        current_found |= not done
        steps.append(Step(name=_end(order, name) if first else name, state=state, at=at))
    return steps


def _shipped(order: Order) -> tuple[bool, bool]:
    """Whether a part has left, and whether all has that should; asked of the lines where the status does not say."""
    if order.status in _GIVEN_BACK and order.paid_at is not None:
        lines = list(order.lines.all())
        some = any(line.shipped for line in lines)
        return some, some and not any(line.shippable for line in lines)
    whole = order.status in (S.SHIPPED, S.COMPLETED)
    return whole or order.status == S.PARTLY_SHIPPED, whole


def _undone_state(order: Order, *, first: bool) -> str:
    if not first:
        return "todo"
    return "failed" if order.status in _ENDED else "current"


def _end(order: Order, name: str) -> str:
    """What stands where the way ended, instead of the step that was not reached."""
    match order.status:
        case S.CANCELLED:
            return _("Cancelled")
        case S.REFUND_DUE:
            return _("Being given back")
        case S.REFUNDED:
            return _("Given back")
        case _:
            return name
