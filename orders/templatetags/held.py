"""What is held for this visitor while it is being paid."""

from typing import Any

from django import template

from orders import cart
from orders.links import guest_path
from orders.standing import held_until

register = template.Library()


@register.simple_tag(takes_context=True)
def held_order(context: dict[str, Any]) -> dict[str, Any]:
    """This visitor's order in payment, its page, and until when its things are held; empty when there is none."""
    session = getattr(context.get("request"), "session", None)
    found = None if session is None else cart.being_paid(session)
    return {"order": found, "url": guest_path(found), "until": held_until(found)} if found else {}
