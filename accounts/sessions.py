"""Where somebody is logged in: listed, and ended."""

from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from accounts import keys
from accounts.models import User
from notifications.audit import log as audit


def sessions_of(user: AbstractBaseUser) -> list[UserSession]:
    """Those that still open something, the latest seen first."""
    living: list[UserSession] = UserSession.objects.purge_and_list(user)
    return sorted(living, key=lambda session: session.last_seen_at, reverse=True)


def end(*, user: AbstractBaseUser, session_id: int) -> bool:
    """End this session of `user`. False when they have no such session."""
    found = UserSession.objects.filter(user_id=user.pk, pk=session_id).first()
    if found is not None:
        found.end()
    return found is not None


def end_all(*, user: AbstractBaseUser, but: str = "") -> int:
    """End all sessions of `user`, but that with the key `but`. Returns how many there were."""
    with transaction.atomic():
        others = list(UserSession.objects.filter(user_id=user.pk).exclude(session_key=but))
        for session in others:
            session.end()
        audit.record("sessions.ended", about=user, after={"sessions": len(others)})
    return len(others)


def shut_out(user: User) -> None:
    """A disabled account opens nothing from now on, also not when it is enabled again."""
    with transaction.atomic():
        keys.revoke_all(user=user)
        end_all(user=user)
