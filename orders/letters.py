"""The letters about an order: each written once, by a handler; and shown to staff as they would be for one order."""

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.urls import reverse

from notifications.mail.letters import Rendered, queue_letter, render
from orders import links
from orders.models import Order, Refund, ReturnRequest, Shipment, ShipmentLine


def write(name: str, order: Order, *, to: str, once: str = "", **facts: Any) -> None:
    """Queue the letter `name`, unless it has been written. once: what tells it from others of its name and order."""
    queue_letter(
        once=f"{name}:order:{order.pk}{once and ':'}{once}",
        template=f"orders/{name}",
        to=to,
        context=_context(order) | facts,
        about=order,
    )


def preview(name: str, order: Order) -> Rendered:
    """The letter `name` as it would be for this order now; nothing is written. Raises KeyError for an unknown name."""
    page = settings.SITE_URL + reverse("orders:order", args=[order.number])  # without the buyer's key
    return render(f"orders/{name}", _context(order) | {"order_url": page} | PREVIEWS[name](order))


def _context(order: Order) -> dict[str, Any]:
    return {
        "order": order,
        "lines": list(order.lines.order_by("pk")),
        "order_url": links.guest_link(order),
        "attempt": order.last_attempt,
    }


def _nothing_more(order: Order) -> dict[str, Any]:  # noqa: ARG001
    return {}


def _taken(order: Order) -> dict[str, Any]:
    attempt = order.last_attempt
    only_held = attempt is not None and attempt.state == attempt.State.MISMATCH and not attempt.captured
    return {"taken": order.total, "taken_currency": order.currency, "only_held": only_held}


def _refund(order: Order) -> dict[str, Any]:
    """The latest; where there is none, one of everything."""
    latest = order.refunds.order_by("created_at").last()
    return {"refund": latest or Refund(order=order, amount=order.total, currency=order.currency)}


def _parcel(order: Order) -> dict[str, Any]:
    """The latest; where there is none, one with everything."""
    parcel = order.shipments.order_by("pk").last()
    if parcel is not None:
        return {"parcel": parcel, "packed": list(parcel.lines.select_related("line").order_by("pk"))}
    packed = [ShipmentLine(line=line, quantity=line.quantity) for line in order.lines.order_by("pk")]
    return {"parcel": Shipment(order=order), "packed": packed}


def _last_request(order: Order) -> ReturnRequest:
    """The latest; where there is none, one for everything."""
    everything = [[line.sku, line.quantity] for line in order.lines.order_by("pk")]
    return order.return_requests.order_by("pk").last() or ReturnRequest(order=order, units=everything, words="…")


# What each needs beyond the order itself.
PREVIEWS: Final[dict[str, Callable[[Order], dict[str, Any]]]] = {
    "confirmation": _nothing_more,
    "payment_failed": _nothing_more,
    "wrong_amount": _taken,
    "came_late": _taken,
    "cancelled": lambda order: {"reason": order.cancel_reason},
    "shipped": _parcel,
    "refunded": _refund,
    "return_requested": lambda order: {"asked": _last_request(order)},
    "return_declined": lambda order: {"answer": _last_request(order).answer or "…"},
    "shipping_notice": _nothing_more,
    "refund_failed": _refund,
}
