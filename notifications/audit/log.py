"""Writing the audit log: one INSERT or two beside the change they tell of, in its transaction. Nobody waits for it."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.db import models, transaction
from django.utils import timezone

from notifications import correlation
from notifications.audit.models import AuditEntry, AuditOrigin
from notifications.pipeline.events import subject_of

Facts = dict[str, Any]
ORIGINS_KEPT: Final = timedelta(days=365)


def record(
    action: str,
    *,
    about: models.Model | str = "",
    before: Facts | None = None,
    after: Facts | None = None,
    actor: str = "",
) -> None:
    """Write down that somebody did `action`, such as "order.refunded", with the change it is part of or not at all.

    before and after: ids, states and amounts, never what names a person. actor: who, where the context does not know.
    """
    address = correlation.address()
    salt = secrets.token_hex(16) if address else ""
    with transaction.atomic(savepoint=False):
        entry = AuditEntry.objects.create(
            action=action,
            actor=actor or correlation.actor(),
            about=about if isinstance(about, str) else subject_of(about),
            before=before,
            after=after,
            correlation_id=correlation.correlation_id(),
            origin_digest=origin_digest(salt, address) if address else "",
        )
        if address:
            AuditOrigin.objects.create(entry=entry, salt=salt, address=address)


def forget_old_origins() -> int:
    """Where people acted from a year ago is nobody's business any more. Returns how many."""
    return AuditOrigin.objects.filter(entry__at__lt=timezone.now() - ORIGINS_KEPT).delete()[0]


def decided(action: str, **facts: Any) -> None:
    """The same, of a verb that handlers call too: what a handler does, its event and delivery tell."""
    if correlation.cause() is None:
        record(action, **facts)


def origin_digest(salt: str, address: str) -> str:
    return hashlib.sha256(f"{salt}:{address}".encode()).hexdigest()


def changes(before: Facts, after: Facts) -> tuple[Facts, Facts]:
    """Only what differs, for `before` and `after` of an entry."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in names}, {name: after.get(name) for name in names}


def forget_origins(references: Iterable[str]) -> int:
    """Where erased people acted from: of their own acts, and of strangers' tries to be them. Returns how many."""
    mine = list(references)
    own = models.Q(entry__actor__in=mine)
    tries = models.Q(entry__about__in=mine) & ~models.Q(entry__actor__startswith="user:")
    return AuditOrigin.objects.filter(own | tries).delete()[0]
