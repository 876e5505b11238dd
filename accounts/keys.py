"""API keys: made, shown once, recognised, revoked."""

import secrets
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from accounts.models import ApiKey, User
from notifications.audit import log as audit


def issue(*, user: User, name: str, scopes: Sequence[str]) -> tuple[ApiKey, str]:
    """A new key for `user` and its plain text, which nobody can read again."""
    plain = f"wb_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        user=user, name=name, prefix=plain[:9], digest=ApiKey.digest_of(plain), scopes=sorted(scopes)
    )
    return key, plain


def recognise(*, plain: str) -> ApiKey | None:
    """The live key with this text, of a user who may still log in; None otherwise."""
    return (
        ApiKey.objects.select_related("user")
        .filter(digest=ApiKey.digest_of(plain), revoked_at=None, user__is_active=True)
        .first()
    )


def revoke(*, user: User, name: str) -> int:
    """End every live key of `user` with this name. Returns how many."""
    live = ApiKey.objects.filter(user=user, name=name, revoked_at=None)
    with transaction.atomic():
        keys = list(live.values_list("pk", flat=True))
        for key in keys:
            audit.record("key.revoked", about=f"key:{key}", after={"of": user.pk})
        return live.filter(pk__in=keys).update(revoked_at=timezone.now())
