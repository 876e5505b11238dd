"""Signing up: one row and one event in one transaction; everything slow hears the event."""

from collections.abc import Callable

from django.db import IntegrityError, transaction

from accounts.events import UserRegistered
from accounts.models import User
from notifications.pipeline.events import publish


class AlreadyRegistered(Exception):
    """Somebody has this e-mail address. Nothing was stored."""


def register(*, save: Callable[[], User], newsletter: bool) -> User:
    """Keep the user that `save` stores and tell everyone, both or neither.

    Raises AlreadyRegistered when the database has the address already, however narrow the race.
    """
    with transaction.atomic(durable=True):
        user = _saved(save)
        publish(UserRegistered(user_id=user.pk, newsletter=newsletter), about=user)
    return user


def sign_up(*, email: str, password: str, name: str, newsletter: bool) -> User:
    """Register a person by e-mail address and password. Raises AlreadyRegistered.

    The address is not looked up first: a known one costs the same password hash as a new one,
    so the time the answer takes says nothing.
    """
    user = User(email=User.objects.normalize_email(email), name=name)
    user.set_password(password)
    return register(save=lambda: _stored(user), newsletter=newsletter)


def _saved(save: Callable[[], User]) -> User:
    try:
        return save()
    except IntegrityError as error:
        raise AlreadyRegistered from error


def _stored(user: User) -> User:
    user.save(force_insert=True)
    return user
