"""What a person wants to read: the mailing list, as seen from their account."""

from django.db import transaction

from accounts.models import User
from notifications.campaigns import mailing_list
from notifications.models import Subscriber


def standing(user: User) -> Subscriber | None:
    return Subscriber.objects.filter(email=user.email.lower()).first()


def join(user: User) -> None:
    """Ask the address, as everybody's is asked: that one can log in does not show that one reads its mail."""
    with transaction.atomic():
        mailing_list.join(email=user.email, name=user.name)


def leave(user: User) -> None:
    """No more newsletters from this moment on. Nothing happens to who is on no list."""
    subscriber = standing(user)
    if subscriber is not None:
        mailing_list.leave(subscriber)
