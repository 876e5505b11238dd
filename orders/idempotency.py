"""One request is one order, however often it arrives.

The key's row commits with the order, so a key that exists always leads to its order. Whether the first
request is still at work is read from the order's payment attempt: there is no separate lock to get stuck.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from orders.models import IdempotencyKey, Order, PaymentAttempt

AT_WORK_FOR = timedelta(seconds=15)  # the gateway's ten-second limit and some time to commit


@dataclass(frozen=True, kw_only=True)
class Key:
    """scope: whose key it is (two clients may choose the same). request_hash: SHA-256 of what was asked, in hex."""

    scope: str
    key: str
    request_hash: str


class KeyReused(Exception):
    """The key came before, with another request."""


class KeyInProgress(Exception):
    """The first request with this key is still at work; ask again in `retry_after` seconds."""

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__(f"still at work; try again in {retry_after} s")
        self.retry_after = retry_after


class AlreadyAnswered(Exception):
    """The key has its final answer: `status` and `body`, to be given again."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"answered {status} before")
        self.status, self.body = status, body


class AlreadyPlaced(Exception):
    """The order exists, but its final answer was never stored: answer from `order` as it is now."""

    def __init__(self, order: Order) -> None:
        super().__init__(f"{order} was placed before")
        self.order = order


def refuse_if_seen(key: Key) -> None:
    """Raises KeyReused, KeyInProgress, AlreadyAnswered or AlreadyPlaced when the key is not new."""
    row = IdempotencyKey.objects.select_related("order").filter(scope=key.scope, key=key.key).first()
    if row is None:
        return
    if row.request_hash != key.request_hash:
        raise KeyReused
    if row.status_code is not None:
        raise AlreadyAnswered(row.status_code, row.body)
    if row.order is not None:
        raise KeyInProgress if _at_work(row.order) else AlreadyPlaced(row.order)


def _at_work(order: Order) -> bool:
    attempt = order.last_attempt
    return (
        attempt is not None
        and attempt.state == PaymentAttempt.State.IN_FLIGHT
        and attempt.started_at > timezone.now() - AT_WORK_FOR
    )


def claim(*, key: Key, order: Order) -> None:
    """Tie the key to its order, inside the order's own transaction. IntegrityError: somebody was first."""
    IdempotencyKey.objects.create(scope=key.scope, key=key.key, request_hash=key.request_hash, order=order)


def remember(*, key: Key, status: int, body: Any, order: Order | None) -> tuple[int, Any]:
    """Keep the final answer of this key, unless one is kept already. Returns the answer that is kept.

    Only final answers belong here: paid, declined, or (with no `order`) sold out; never "try again" or
    "not known yet". Raises KeyInProgress when meanwhile the key leads to another order than the answer tells of.
    """
    with transaction.atomic(durable=True):
        mine = IdempotencyKey.objects.filter(scope=key.scope, key=key.key)
        if not mine.filter(status_code=None, order=order).update(status_code=status, body=body):
            IdempotencyKey.objects.bulk_create([_answered(key, status, body, order)], ignore_conflicts=True)
        kept = mine.get()
    if kept.status_code is None:
        raise KeyInProgress
    return kept.status_code, kept.body


def _answered(key: Key, status: int, body: Any, order: Order | None) -> IdempotencyKey:
    return IdempotencyKey(
        scope=key.scope, key=key.key, request_hash=key.request_hash, order=order, status_code=status, body=body
    )
