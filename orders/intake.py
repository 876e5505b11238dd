"""What the gateway tells us by itself: checked, kept under its own id and applied, all in one transaction.

An event is believed only where it cannot be outdated: money that was taken was taken. Everything else is a hint, and
the gateway is asked for the truth of now.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from notifications import correlation
from notifications.pipeline.events import publish
from orders import differences
from orders.events import GatewayRefundSeen, PaymentUnanswered
from orders.gateways import stripe
from orders.gateways.base import Outcome, Status, Told
from orders.models import Difference, GatewayEvent, PaymentAttempt
from orders.payments import apply

log = structlog.get_logger(__name__)

State = GatewayEvent.State
SOURCE = "stripe"
MATCH_FOR = timedelta(days=3)  # how long an event waits for its payment to appear


def receive(*, body: bytes, signature: str) -> bool:
    """Take in one message of the gateway. False when it came before: nothing is done twice.

    Raises BadSignature, BadEvent or WeakSecret of the port, and then nothing was stored. The same event in parallel
    is applied by one of them.
    """
    payload = stripe.verified(body, signature, settings.STRIPE_WEBHOOK_SECRETS)
    told = stripe.told(payload)
    if GatewayEvent.objects.filter(source=SOURCE, external_id=told.event_id).exists():
        return False
    try:
        with transaction.atomic(durable=True):
            kept = GatewayEvent.objects.create(
                source=SOURCE,
                external_id=told.event_id,
                type=told.type[:80],
                state=State.UNMATCHED,
                reference=told.reference[:100],
                payload=payload,
                occurred_at=told.created or timezone.now(),
            )
            _apply(kept, told)
    except IntegrityError:
        if not GatewayEvent.objects.filter(source=SOURCE, external_id=told.event_id).exists():
            raise
        return False
    return True


def match_again() -> int:
    """Apply the events whose payment was not known when they came. Returns how many found theirs."""
    recent = GatewayEvent.objects.filter(state=State.UNMATCHED, received_at__gt=timezone.now() - MATCH_FOR)
    found = 0
    for kept in recent.order_by("pk"):
        with transaction.atomic():
            mine = GatewayEvent.objects.select_for_update().get(pk=kept.pk)
            if mine.state == State.UNMATCHED:
                _apply(mine, stripe.told(mine.payload))
                found += mine.state != State.UNMATCHED
    return found


def _apply(kept: GatewayEvent, told: Told) -> None:
    attempt = _attempt_of(told)
    if told.kind == "other":
        _note(kept, State.IGNORED, "not about a payment", attempt)
    elif attempt is None:
        differences.note(
            kind=Difference.Kind.UNMATCHED_EVENT,
            reference=kept.external_id,
            gateway_id=told.gateway_id or "",
            detail=f"{told.type} about {told.reference or told.gateway_id or 'nothing we know'}",
        )
        log.error("gateway_event_unmatched", id=kept.external_id, type=kept.type, reference=kept.reference)
    else:
        differences.over(kind=Difference.Kind.UNMATCHED_EVENT, reference=kept.external_id, by="its payment appeared")
        with correlation.bound(correlation_id=attempt.order.correlation_id, actor="gateway"):
            _note(kept, *_applied(attempt, told), attempt)


def _attempt_of(told: Told) -> PaymentAttempt | None:
    attempts = PaymentAttempt.objects.select_related("order")
    try:
        by_reference = attempts.filter(pk=UUID(told.reference)).first() if told.reference else None
    except ValueError:
        by_reference = None
    if by_reference is None and told.gateway_id:
        return attempts.filter(gateway_id=told.gateway_id).first()
    return by_reference


def _applied(attempt: PaymentAttempt, told: Told) -> tuple[GatewayEvent.State, str]:
    if told.kind == "refund":
        publish(GatewayRefundSeen(order_id=attempt.order_id, attempt_id=str(attempt.pk)), about=attempt.order)
        return State.APPLIED, "the gateway is asked for its refunds"
    if attempt.gateway_id not in (None, told.gateway_id):
        return State.IGNORED, "about another payment of ours under this reference"
    return _of_a_charge(
        attempt, told.outcome or Outcome(status=Status.UNKNOWN, gateway_id=None, amount=None, currency=None)
    )


def _of_a_charge(attempt: PaymentAttempt, outcome: Outcome) -> tuple[GatewayEvent.State, str]:
    before = attempt.state
    match outcome.status:
        case Status.SUCCEEDED | Status.AUTHORIZED:
            apply(attempt_id=attempt.pk, outcome=outcome)
        case Status.REQUIRES_ACTION if attempt.state == PaymentAttempt.State.UNKNOWN:
            apply(attempt_id=attempt.pk, outcome=outcome)
        case Status.DECLINED | Status.CANCELLED if attempt.state in _MAY_STILL_CHANGE:
            # It may have been overtaken by a later event: the gateway says what holds now.
            publish(PaymentUnanswered(order_id=attempt.order_id, attempt_id=str(attempt.pk)), about=attempt.order)
            return State.APPLIED, "the gateway is asked what holds now"
    attempt.refresh_from_db()
    if attempt.state == before:
        return State.IGNORED, f"stale: the payment is {attempt.state}"
    return State.APPLIED, f"{before} → {attempt.state}"


_MAY_STILL_CHANGE = (*PaymentAttempt.OPEN, PaymentAttempt.State.AUTHORIZED)


def _note(kept: GatewayEvent, state: GatewayEvent.State, note: str, attempt: PaymentAttempt | None) -> None:
    kept.state, kept.note, kept.attempt = state, note[:200], attempt
    kept.save(update_fields=["state", "note", "attempt"])
