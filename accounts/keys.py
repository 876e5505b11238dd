"""API keys: made, shown once, recognised, replaced, revoked."""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Least
from django.utils import timezone

from accounts.models import ApiKey, ApiKeyQuerySet, User
from notifications.api.scopes import may_give
from notifications.audit import log as audit

# A key in use all day is not a write for each call.
NOTED_EVERY: Final = timedelta(minutes=1)
MOST: Final = 50  # live keys of one person: more is a program that makes keys
NAME_LENGTH: Final = 80


class NotYours(Exception):
    """These scopes are not the person's own to give."""

    def __init__(self, scopes: Collection[str]) -> None:
        super().__init__(f"You may not give {', '.join(sorted(scopes))}.")
        self.scopes = scopes


class TooManyKeys(Exception):
    """Nothing was made."""

    def __init__(self) -> None:
        super().__init__(f"{MOST} keys are the most. Revoke one that you no longer use.")


def issue(*, user: User, name: str, scopes: Sequence[str], expires_at: datetime | None = None) -> tuple[ApiKey, str]:
    """A new key for `user` and its plain text, which nobody can read again. For those who may give any scope."""
    plain = f"wb_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        user=user,
        name=name,
        prefix=plain[:9],
        digest=ApiKey.digest_of(plain),
        scopes=sorted(scopes),
        expires_at=expires_at,
    )
    return key, plain


def make_own(*, user: User, name: str, scopes: Sequence[str], expires_at: datetime | None) -> tuple[ApiKey, str]:
    """As `issue`, by the person themselves: raises NotYours for scopes they have not, TooManyKeys past 50 live ones."""
    if foreign := set(scopes) - set(may_give(user)):
        raise NotYours(foreign)
    if live(user=user).count() >= MOST:
        raise TooManyKeys
    return issue(user=user, name=name, scopes=scopes, expires_at=expires_at)


def live(*, user: User) -> ApiKeyQuerySet:
    """Those that open something now."""
    return ApiKey.objects.filter(user=user).live(timezone.now())


def recognise(*, plain: str) -> ApiKey | None:
    """The live key with this text, of a user who may still log in; None otherwise. Notes that it was used."""
    now = timezone.now()
    key = ApiKey.objects.select_related("user").live(now).filter(digest=ApiKey.digest_of(plain)).first()
    if key is not None and (key.last_used_at is None or key.last_used_at <= now - NOTED_EVERY):
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - NOTED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    return key


def replace(*, user: User, key_id: int, overlap: timedelta) -> tuple[ApiKey, str] | None:
    """A new key of the same name, scopes and length of life; the old one ends after `overlap`, if not before.

    None when `user` has no such live key, also when another press of the button has just replaced it.
    """
    now = timezone.now()
    with transaction.atomic():
        old = live(user=user).filter(pk=key_id).first()
        if old is None or not _ends_at(old, now + overlap):
            return None
        scopes = [scope for scope in old.scopes if scope in may_give(user)]
        end = now + (old.expires_at - old.created_at) if old.expires_at else None
        return issue(user=user, name=old.name, scopes=scopes, expires_at=end)


def _ends_at(key: ApiKey, end: datetime) -> int:
    """Count 1 for whoever comes first."""
    as_it_was = ApiKey.objects.filter(pk=key.pk, revoked_at=None, replaced_at=None)
    if key.expires_at is None:
        return as_it_was.filter(expires_at=None).update(expires_at=end, replaced_at=timezone.now())
    return as_it_was.update(expires_at=Least(F("expires_at"), end), replaced_at=timezone.now())


def revoke(*, user: User, name: str) -> int:
    """End every live key of `user` with this name. Returns how many."""
    return _revoked(ApiKey.objects.filter(user=user, name=name, revoked_at=None))


def revoke_own(*, user: User, key_id: int) -> int:
    """End this key of `user` at once. Returns 0 when there is no such live key."""
    return _revoked(ApiKey.objects.filter(user=user, pk=key_id, revoked_at=None))


def revoke_all(*, user: User) -> int:
    return _revoked(ApiKey.objects.filter(user=user, revoked_at=None))


def _revoked(live: ApiKeyQuerySet) -> int:
    with transaction.atomic():
        keys = list(live.values_list("pk", "user_id"))
        for key, user_id in keys:
            audit.record("key.revoked", about=f"key:{key}", after={"of": user_id})
        return live.filter(pk__in=[key for key, _ in keys]).update(revoked_at=timezone.now())
