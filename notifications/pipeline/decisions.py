"""What a person decides about one delivery: try it again, with another payload maybe, give it up, or take that back.

Each decision is one conditional UPDATE that moves the fence, and an entry in the delivery's own history.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from notifications.pipeline import brakes, doorbell, ordering
from notifications.pipeline.events import BadPayload, declared
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

    The event stays as it is: other handlers, and history, have read it. Raises BadPayload when the payload does not
    fit today's declaration of the event, NotWaiting as `retry` does.
    """
    kind = declared.get(delivery.event.name)
    if kind is None:
        raise BadPayload(f"{delivery.event.name} is unknown to this release")
    read = kind.from_payload(payload).payload()
    why = _difference(delivery.reading[0], read)
    _try_again(delivery, "correct", by, reason=why, corrected={"version": kind.version, "payload": read})


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return "; ".join(f"{name}: {before.get(name)!r} became {after.get(name)!r}" for name in changed)


def _try_again(delivery: Delivery, action: str, by: str, *, after: timedelta = timedelta(0), **changes: Any) -> None:
    if not after:
        brakes.wake(delivery.handler)
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


def discard(*, delivery: Delivery, by: str, reason: str) -> None:
    """Give a dead or waiting delivery up, for `reason`. Raises NotWaiting as `retry` does."""
    _decide(delivery, "discard", by, state=State.CANCELLED, finished_at=timezone.now(), reason=reason)


def may_undo(delivery: Delivery) -> bool:
    """Whether a person has discarded it, and none of its line has gone on since."""
    last = (delivery.resolution or [{}])[-1]
    return delivery.state == State.CANCELLED and last.get("action") == "discard" and not ordering.overtaken(delivery)


def undo(*, delivery: Delivery, by: str) -> None:
    """Take a discard back: it is dead again, or waits its turn, until a person decides otherwise.

    Raises NotWaiting when it was not discarded, or when others of its line have gone on since.
    """
    with transaction.atomic():
        ordering.stand_still(delivery)
        if not may_undo(delivery):
            raise NotWaiting(f"the discard of delivery {delivery.pk} cannot be taken back any more")
        if ordering.has_holder(delivery):
            _decide(delivery, "undo", by, state=State.WAITING, finished_at=None)
        else:
            _decide(delivery, "undo", by, state=State.DEAD, finished_at=timezone.now())


def entry(action: str, *, by: str, reason: str) -> dict[str, str]:
    """One line of a delivery's history of decisions."""
    return {"action": action, "by": by, "reason": reason, "at": timezone.now().isoformat()}


def _decide(delivery: Delivery, action: str, by: str, *, reason: str = "", **changes: Any) -> None:
    undecided = Delivery.objects.filter(pk=delivery.pk, token=delivery.token, state__in=UNDECIDED[action])
    history = [*(delivery.resolution or []), entry(action, by=by, reason=reason)]
    with transaction.atomic():
        if undecided.update(resolution=history, token=delivery.token + 1, **changes) != 1:
            raise NotWaiting(f"delivery {delivery.pk} is no longer waiting")
        ordering.hand_on(delivery)
        transaction.on_commit(doorbell.ring, robust=True)
