"""Where django-allauth's flows meet ours: its mails become letters, its throttles know who tries from where."""

import uuid
from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import profile
from accounts.events import EmailVerified
from accounts.models import Profile, User
from accounts.verification import ask_for_code
from notifications.mail.letters import queue_letter
from notifications.pipeline.events import publish

# What a letter says has changed, by the name of allauth's own mail.
NEWS: Final = {
    "account/email/email_changed": _("the e-mail address was changed"),
    "account/email/password_changed": _("the password was changed"),
    "account/email/password_set": _("a password was set"),
    "account/email/password_reset": _("a new password was chosen, by a link from a letter"),
    "mfa/email/totp_activated": _("codes of an app are asked for from now on"),
    "mfa/email/totp_deactivated": _("codes of an app are no longer asked for"),
    "mfa/email/recovery_codes_generated": _("new recovery codes were made, and the old ones ended"),
    "mfa/email/webauthn_added": _("a passkey was added"),
    "mfa/email/webauthn_removed": _("a passkey was removed"),
}


class AccountAdapter(DefaultAccountAdapter):
    # -- letters --------------------------------------------------------------------------

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Every mail has its own way below; one that had none would go out inside the request."""
        raise NotImplementedError(f"{template_prefix} has no letter")

    def send_account_already_exists_mail(self, email: str) -> None:
        """The event of the second sign-up tells them (accounts/registration.py); this costs what a code does."""
        ask_for_code(email=email, code=self.generate_email_verification_code(), user=None)

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:  # noqa: ARG002
        address = emailconfirmation.email_address
        ask_for_code(email=address.email, code=emailconfirmation.key, user=address.user)

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        facts = {"news": NEWS[template_prefix], "ip": self.get_client_ip(self.request), **(context or {})}
        for to in dict.fromkeys([email or user.email, user.email]):  # a change of address concerns both
            _write("accounts/changed", user, to=to, **facts)

    # -- events ---------------------------------------------------------------------------

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """False when another account has the address, however narrow the race: nothing has changed then."""
        try:
            with transaction.atomic():
                return self._confirmed(request, email_address)
        except IntegrityError:
            failed = {"email": email_address.email}
            self.add_message(request, messages.ERROR, "account/messages/email_confirmation_failed.txt", failed)
            return False

    def _confirmed(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        confirmed: bool = super().confirm_email(request, email_address)
        if confirmed:
            user = email_address.user
            publish(EmailVerified(user_id=user.pk, address_id=email_address.pk), about=user)
        return confirmed

    # -- logging in -----------------------------------------------------------------------

    def post_login(self, request: HttpRequest, user: User, **hints: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **hints)
        if own := Profile.objects.filter(user=user).first():
            profile.remember(response, locale=own.locale, time_zone=own.time_zone)
        return response

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """As allauth's; and where many have tried from many addresses, only from where this person was before."""
        super().pre_authenticate(request, **credentials)
        login = str(credentials.get("email", "")).lower()
        attacked = not ratelimit.consume(request, action="login_attacked", key=login, dry_run=True)
        if attacked and not self._was_here(request, login):
            raise self.validation_error("too_many_login_attempts")

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        ratelimit.consume(request, action="login_attacked", key=str(credentials.get("email", "")).lower())

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """A person at an address: a stranger's tries elsewhere cost them nothing."""
        return f"{str(credentials.get('email', '')).lower()}:{self.get_client_ip(request)}"

    def _was_here(self, request: HttpRequest, login: str) -> bool:
        here = {"user__email": login, "ip": self.get_client_ip(request)}
        return bool(UserSession.objects.filter(**here).exists())


def _write(template: str, user: User, *, to: str, **facts: Any) -> None:
    with transaction.atomic(), profile.as_read_by(user):
        context = {"user": user, "account_url": settings.SITE_URL + reverse("account"), **facts}
        queue_letter(once=f"{template}:{uuid.uuid4()}", template=template, to=to, context=context, about=user)
