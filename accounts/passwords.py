"""A new password for whoever has the mailbox. The question costs the same for every address: the answer is a letter."""

from typing import Final

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from accounts.events import PasswordResetAsked
from accounts.models import ResetRequest, User
from notifications.mail.letters import queue_letter
from notifications.mail.sealing import seal
from notifications.pipeline.events import publish

TEMPLATE: Final = "accounts/new_password"
seal(TEMPLATE)


def ask_for_reset(*, email: str) -> None:
    """Note that somebody wants a new password for this address. Whose it is, is looked up after the answer."""
    with transaction.atomic(durable=True):
        asked = ResetRequest.objects.create(email=User.objects.normalize_email(email))
        publish(PasswordResetAsked(request_id=asked.pk), about=asked)


def answer_reset(*, request_id: int) -> None:
    """Send the link to the person who has the address; nothing where nobody has. In a transaction; twice is once."""
    asked = ResetRequest.objects.filter(pk=request_id).first()
    if asked is None:
        return
    user = User.objects.filter(email=asked.email, is_active=True).first()
    if user is not None:
        link = {"user": user, "page": _page(user)}
        queue_letter(once=f"new-password:{asked.pk}", template=TEMPLATE, to=user.email, context=link, about=user)
    asked.delete()


def _page(user: User) -> str:
    """On our own address, whatever host the request named."""
    token = {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
    return settings.SITE_URL + reverse("account_reset_password_from_key", kwargs=token)
