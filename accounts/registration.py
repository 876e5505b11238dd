"""Signing up: one row and one event in one transaction; everything slow hears the event."""

from datetime import timedelta
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.events import RegistrationRepeated, UserRegistered
from accounts.models import User
from notifications.mail.letters import queue_letter
from notifications.models import Letter
from notifications.pipeline.events import DomainEvent, publish

WELCOME: Final = "accounts/welcome"
KNOWN_ALREADY: Final = "accounts/known_already"
# Whoever types somebody else's address again and again fills no mailbox.
QUIET_FOR: Final = timedelta(minutes=10)


class AlreadyRegistered(Exception):
    """Somebody has this e-mail address. Nobody was registered; the one who has it is told by letter."""


def sign_up(*, email: str, password: str, name: str, newsletter: bool) -> User:
    """Register a person by e-mail address and password and tell everyone, both or neither. Raises AlreadyRegistered.

    The address is not looked up first: a known one costs the same hash, the same statements and an event as a new
    one does, so the time the answer takes says nothing. However many ask at once, the database lets one in.
    """
    user = User(email=User.objects.normalize_email(email), name=name)
    user.set_password(password)
    with transaction.atomic(durable=True):
        User.objects.bulk_create([user], ignore_conflicts=True)
        found = User.objects.get_by_natural_key(user.email)
        EmailAddress.objects.bulk_create([_unverified(found)], ignore_conflicts=True)
        is_new = found.password == user.password  # salted: nobody else's can be equal
        publish(_fact(found, newsletter, is_new=is_new), about=found)
    if not is_new:
        raise AlreadyRegistered
    return found


def _unverified(user: User) -> EmailAddress:
    return EmailAddress(user=user, email=user.email, primary=True, verified=False)


def tell_known_already(user: User) -> None:
    """Write to the person whose address was used to sign up once more, unless they had such a letter just now."""
    written = Letter.objects.filter(to=user.email, template__in=[WELCOME, KNOWN_ALREADY])
    if not written.filter(queued_at__gt=timezone.now() - QUIET_FOR).exists():
        # Two that both found none number it alike, and the database takes one.
        once = f"known-already:{user.pk}:{written.count()}"
        queue_letter(once=once, template=KNOWN_ALREADY, to=user.email, context=_ways_in(user), about=user)


def _ways_in(user: User) -> dict[str, Any]:
    """On our own address, whatever host a request named."""
    pages = {"login_url": "account_login", "reset_url": "account_reset_password"}
    return {"user": user, **{word: settings.SITE_URL + reverse(page) for word, page in pages.items()}}


def _fact(user: User, newsletter: bool, *, is_new: bool) -> DomainEvent:
    if is_new:
        return UserRegistered(user_id=user.pk, newsletter=newsletter)
    return RegistrationRepeated(user_id=user.pk)
