"""One request is one order, however often it arrives.

The key's row commits with what the request made (an order, a refund, a parcel), so a key that exists always leads
there. While the first request is at work it holds a lease of seconds; who repeats a request whose process was killed
takes the lease over and finishes the work.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone

from orders.models import IdempotencyKey, Order, PaymentAttempt

LEASE = timedelta(seconds=12)  # the gateway's ten-second limit and some time to commit

T = TypeVar("T")


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
        raise AlreadyAnswered(row.status_code, row.answer)
    if row.order is not None:
        raise KeyInProgress if _at_work(row) else AlreadyPlaced(row.order)


def _at_work(row: IdempotencyKey) -> bool:
    attempt = row.order.last_attempt if row.order else None
    at_bank = attempt is not None and attempt.state == PaymentAttempt.State.IN_FLIGHT
    return at_bank and row.lease_until is not None and row.lease_until > timezone.now()


def take_over(key: Key) -> bool:
    """Take the lease that a dead request left. False when somebody else is at work, or nothing is left to do."""
    now = timezone.now()
    mine = IdempotencyKey.objects.filter(scope=key.scope, key=key.key, status_code=None, lease_until__lte=now)
    return bool(mine.update(lease_until=now + LEASE))


def once(key: Key | None, *, make: Callable[[], T], find: Callable[[str], T]) -> T:
    """What this key made before, or what it makes now; `make` calls `claim` in its own transaction.

    Raises KeyReused when the key came with another request.
    """
    made = made_before(key) if key else ""
    if made:
        return find(made)
    try:
        return make()
    except IntegrityError:
        made = made_before(key) if key else ""
        if not made:
            raise
        return find(made)


def made_before(key: Key) -> str:
    """The row this key has made, as `refund:UUID`; empty when the key is new. Raises KeyReused."""
    row = IdempotencyKey.objects.filter(scope=key.scope, key=key.key).first()
    if row is not None and row.request_hash != key.request_hash:
        raise KeyReused
    return row.made if row else ""


def claim(*, key: Key, order: Order | None = None, made: str = "") -> None:
    """Tie the key to what it makes, inside the same transaction. IntegrityError: somebody was first."""
    IdempotencyKey.objects.create(
        scope=key.scope,
        key=key.key,
        request_hash=key.request_hash,
        order=order,
        made=made,
        lease_until=timezone.now() + LEASE,
    )


def remember(*, key: Key, status: int, body: Any, order: Order | None, made: str = "") -> tuple[int, Any]:
    """Keep the final answer of this key, unless one is kept already. Returns the answer that is kept.

    Only final answers belong here: paid, declined, done, or (with no `order`, and nothing `made`) refused; never
    "try again" or "not known yet". Raises KeyInProgress when meanwhile the key leads to something else than the
    answer tells of.
    """
    with transaction.atomic(durable=True):
        mine = IdempotencyKey.objects.filter(scope=key.scope, key=key.key)
        text = json.dumps(body)
        if mine.filter(status_code=None, order=order, made=made).update(status_code=status, body=text):
            return status, body
        IdempotencyKey.objects.bulk_create([_answered(key, status, text, order)], ignore_conflicts=True)
        kept = mine.get()
    if kept.status_code is None:
        raise KeyInProgress
    return kept.status_code, kept.answer


def _answered(key: Key, status: int, text: str, order: Order | None) -> IdempotencyKey:
    return IdempotencyKey(
        scope=key.scope, key=key.key, request_hash=key.request_hash, order=order, status_code=status, body=text
    )
