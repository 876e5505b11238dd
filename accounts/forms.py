"""allauth's forms, where ours ask or do something else."""

from typing import Any

from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.internal.flows.signup import prevent_enumeration
from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.passwords import ask_for_reset
from accounts.postal import line
from accounts.registration import AlreadyRegistered, sign_up


class SignupForm(AllauthSignupForm):
    """With a name and the newsletter. Whether the address has an account already, only its mailbox hears."""

    name = line(_("Name"), autocomplete="name", length=120, required=False)
    newsletter = forms.BooleanField(label=_("Send me the newsletter now and then."), required=False)

    field_order = ["email", "name", "password1", "newsletter"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["name"].help_text = _("How we address you.")

    def validate_unique_email(self, value: str) -> str:
        """Not looked up here: the verb finds out, at the same cost for both."""
        return value

    def try_save(self, request: HttpRequest) -> tuple[Any, Any]:
        asked = self.cleaned_data
        try:
            user = sign_up(
                email=asked["email"], password=asked["password1"], name=asked["name"], newsletter=asked["newsletter"]
            )
        except AlreadyRegistered:
            return None, prevent_enumeration(request, email=asked["email"])
        return user, None


class ResetPasswordForm(AllauthResetPasswordForm):
    def clean_email(self) -> str:
        """Not looked up here, as at sign-up."""
        return str(self.cleaned_data["email"]).lower()

    def save(self, request: HttpRequest, **options: Any) -> str:  # noqa: ARG002
        email: str = self.cleaned_data["email"]
        ask_for_reset(email=email)
        return email
