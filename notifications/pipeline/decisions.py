"""What a person decides about one delivery: try it again, with another payload maybe, give it up, or take that back.

Each decision is one conditional UPDATE that moves the fence, and an entry in the delivery's own history.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from notifications.audit import log as audit
from notifications.pipeline import brakes, doorbell, ordering
from notifications.pipeline.events import BadPayload, declared, subscription_of
from notifications.pipeline.models import Delivery

State = Delivery.State
MORE_TRIES = 5  # at least so many, once a person has decided


class NotWaiting(Exception):
    """The delivery is running or done, or behind another in its line: there is nothing to decide."""


UNDECIDED = {
    "retry": (State.DEAD, State.READY),
    "correct": (State.DEAD, State.READY),
    "discard": (State.DEAD, State.READY, State.WAITING),
    "undo": (State.CANCELLED,),
}


def retry(*, delivery: Delivery, by: str, after: timedelta = timedelta(0)) -> None:
    """Let a dead or waiting delivery be tried again, at once or later; for the one at once, a resting handler wakes.

    Raises NotWaiting when it is running or done meanwhile.
    """
    _try_again(delivery, "retry", by, after=after, reason=f"in {after}" if after else "")


def retry_all(*, deliveries: Iterable[Delivery], by: str) -> int:
    """Retry each of them at once. Returns how many: those that no longer wait are passed over."""
    return sum(_retried(delivery, by) for delivery in deliveries)


def _retried(delivery: Delivery, by: str) -> bool:
    try:
        retry(delivery=delivery, by=by)
    except NotWaiting:
        return False
    return True


def correct(*, delivery: Delivery, payload: dict[str, Any], by: str) -> None:
    """Try it again at once, and let its handler read `payload` in place of what was published.

    The event stays as it is: other handlers, and history, have read it. Calls of the handler that are done, by
    `effects.once`, stay done. Raises BadPayload when the payload does not fit today's declaration of the event,
    NotWaiting as `retry` does.
    """
    kind = declared.get(delivery.event.name)
    if kind is None:
        raise BadPayload(f"{delivery.event.name} is unknown to this release")
    read = kind.from_payload(payload).payload()
    why = _difference(readable(delivery), read)
    _try_again(delivery, "correct", by, reason=why, corrected={"version": kind.version, "payload": read})


def readable(delivery: Delivery) -> dict[str, Any]:
    """What its handler reads, in today's shape of the event; as it was written when it cannot be read today."""
    payload, version = delivery.reading
    kind = declared.get(delivery.event.name)
    if kind is None or version > kind.version:
        return payload
    try:
        return kind.from_payload(payload, version).payload()
    except (BadPayload, TypeError):
        return payload


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return "; ".join(f"{name}: {before.get(name)!r} became {after.get(name)!r}" for name in changed)


def _try_again(delivery: Delivery, action: str, by: str, *, after: timedelta = timedelta(0), **changes: Any) -> None:
    with transaction.atomic():
        _decide(
            delivery,
            action,
            by,
            state=State.READY,
            available_at=timezone.now() + after,
            finished_at=None,
            hinted_at=None,
            crashes=0,
            max_attempts=max(delivery.max_attempts, delivery.attempt + MORE_TRIES),
            **changes,
        )
        if not after:
            brakes.wake(delivery.handler)


def discard(*, delivery: Delivery, by: str, reason: str) -> None:
    """Give a dead or waiting delivery up, for `reason`. Raises NotWaiting as `retry` does."""
    _decide(delivery, "discard", by, state=State.CANCELLED, finished_at=timezone.now(), reason=reason)


def may_undo(delivery: Delivery) -> bool:
    """Whether a person has discarded it, and none of its line has gone on since."""
    last = (delivery.resolution or [{}])[-1]
    discarded = delivery.state == State.CANCELLED and last.get("action") == "discard"
    return discarded and not (_is_ordered(delivery) and ordering.overtaken(delivery))


def undo(*, delivery: Delivery, by: str) -> None:
    """Take a discard back: it is what it was before, dead, or waiting for its time or its turn.

    Raises NotWaiting when it was not discarded, or when others of its line have gone on since.
    """
    with transaction.atomic():
        ordering.stand_still(delivery)
        if not may_undo(delivery):
            raise NotWaiting(f"the discard of delivery {delivery.pk} cannot be taken back any more")
        was = State((delivery.resolution or [{}])[-1].get("was", State.DEAD))
        if _is_ordered(delivery) and ordering.has_holder(delivery):
            was = State.WAITING
        elif was == State.WAITING:  # those before it have come to their end meanwhile
            was = State.READY
        ended = timezone.now() if was == State.DEAD else None
        _decide(delivery, "undo", by, state=was, finished_at=ended)


def _is_ordered(delivery: Delivery) -> bool:
    subscription = subscription_of(delivery.handler)
    return subscription is not None and subscription.ordered and delivery.order_key is not None


def entry(action: str, *, by: str, reason: str, was: str = "") -> dict[str, str]:
    """One line of a delivery's history of decisions; `was` is the state it was in before."""
    at = timezone.now().isoformat()
    return {"action": action, "by": by, "reason": reason, "at": at} | ({"was": was} if was else {})


def _decide(delivery: Delivery, action: str, by: str, *, reason: str = "", **changes: Any) -> None:
    undecided = Delivery.objects.filter(pk=delivery.pk, token=delivery.token, state__in=UNDECIDED[action])
    history = [*(delivery.resolution or []), entry(action, by=by, reason=reason, was=delivery.state)]
    with transaction.atomic():
        ordering.stand_still(delivery)  # before the row, as everybody does who hands a baton on
        if undecided.update(resolution=history, token=delivery.token + 1, **changes) != 1:
            raise NotWaiting(f"delivery {delivery.pk} is no longer waiting")
        ordering.hand_on(delivery)
        states = {"before": {"state": str(delivery.state)}, "after": {"state": str(changes["state"])}}
        audit.decided(f"delivery.{action}", about=delivery, actor=by, **states)
        doorbell.ring_after_commit()
