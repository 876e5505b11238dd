"""Intents, charges, refunds, lists and events as JSON, field for field as Stripe names them."""

from collections.abc import Sequence
from typing import Any

from orders.gateways.bank.papers import Intent, Refund, new_id

Body = dict[str, Any]


def intent_body(intent: Intent, *, site: str) -> Body:
    """`site` is the bank's own address, for the page where a buyer approves."""
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.held,
        "amount_received": intent.amount_received,
        "canceled_at": int(intent.cancelled) or None,
        "cancellation_reason": None,
        "capture_method": "manual" if intent.manual else "automatic",
        "client_secret": f"{intent.id}_secret",
        "confirmation_method": "automatic",
        "created": int(intent.created),
        "currency": intent.currency,
        "description": intent.description or None,
        "last_payment_error": intent.error,
        "latest_charge": intent.charge_id if intent.amount_received or intent.held else None,
        "livemode": False,
        "metadata": intent.metadata,
        "next_action": _next_action(intent, site),
        "payment_method": intent.payment_method or None,
        "payment_method_types": ["card"],
        "status": intent.status,
    }


def charge_body(intent: Intent, *, refunded: int) -> Body:
    """The charge of an intent that has one."""
    return {
        "id": intent.charge_id,
        "object": "charge",
        "amount": intent.amount_received or intent.held,
        "amount_captured": intent.amount_received,
        "amount_refunded": refunded,
        "captured": intent.amount_received > 0,
        "created": int(intent.created),
        "currency": intent.currency,
        "description": intent.description or None,
        "livemode": False,
        "metadata": intent.metadata,
        "paid": True,
        "payment_intent": intent.id,
        "refunded": 0 < intent.amount_received <= refunded,
        "status": "succeeded",
    }


def refund_body(refund: Refund) -> Body:
    failure = {"failure_reason": "unknown"} if refund.status == "failed" else {}
    return failure | {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "charge": refund.intent.replace("pi_", "ch_", 1),
        "created": int(refund.created),
        "currency": refund.currency,
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason or None,
        "status": refund.status,
    }


def list_body(items: Sequence[Body], *, url: str, more: bool) -> Body:
    return {"object": "list", "data": list(items), "has_more": more, "url": url}


def event_body(type: str, subject: Body, *, at: float, key: str) -> Body:
    """`subject` as it is now; `key` is the idempotency key of the request that brought it there."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "created": int(at),
        "data": {"object": subject},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": key or None},
        "type": type,
    }


def _next_action(intent: Intent, site: str) -> Body | None:
    if intent.status != "requires_action":
        return None
    page = {"url": f"{site}/3ds/{intent.id}", "return_url": intent.return_url or None}
    return {"type": "redirect_to_url", "redirect_to_url": page}
