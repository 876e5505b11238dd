"""Intents, refunds, lists and events as JSON, field for field as Stripe names them."""

from collections.abc import Sequence
from typing import Any

from orders.gateways.bank.vault import Intent, Refund, new_id

Body = dict[str, Any]


def intent_body(intent: Intent, *, site: str) -> Body:
    """`site` is the bank's own address, for the page where a buyer approves."""
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": 0,
        "amount_received": intent.amount_received,
        "canceled_at": int(intent.cancelled) or None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{intent.id}_secret",
        "confirmation_method": "automatic",
        "created": int(intent.created),
        "currency": intent.currency,
        "description": intent.description or None,
        "last_payment_error": intent.error,
        "latest_charge": intent.id.replace("pi_", "ch_", 1) if intent.amount_received else None,
        "livemode": False,
        "metadata": intent.metadata,
        "next_action": _next_action(intent, site),
        "payment_method": intent.payment_method or None,
        "payment_method_types": ["card"],
        "status": intent.status,
    }


def refund_body(refund: Refund) -> Body:
    return {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "charge": refund.intent.replace("pi_", "ch_", 1),
        "created": int(refund.created),
        "currency": refund.currency,
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason or None,
        "status": "succeeded",
    }


def list_body(items: Sequence[Body], *, url: str, more: bool) -> Body:
    return {"object": "list", "data": list(items), "has_more": more, "url": url}


def event_body(type: str, intent: Intent, *, at: float, site: str) -> Body:
    return {
        "id": new_id("evt"),
        "object": "event",
        "created": int(at),
        "data": {"object": intent_body(intent, site=site)},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": intent.key or None},
        "type": type,
    }


def _next_action(intent: Intent, site: str) -> Body | None:
    if intent.status != "requires_action":
        return None
    page = {"url": f"{site}/3ds/{intent.id}", "return_url": intent.return_url or None}
    return {"type": "redirect_to_url", "redirect_to_url": page}
