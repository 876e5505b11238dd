"""Signing up: one row and one event in one transaction; everything slow hears the event."""

from collections.abc import Callable

from django.db import transaction

from accounts.events import UserRegistered
from accounts.models import User
from notifications.pipeline.events import publish


def register(*, save: Callable[[], User], newsletter: bool) -> User:
    """Keep the user that `save` stores and tell everyone, both or neither."""
    with transaction.atomic(durable=True):
        user = save()
        publish(UserRegistered(user_id=user.pk, newsletter=newsletter), about=user)
    return user
