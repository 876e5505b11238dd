"""The sign-up form: allauth's, with a name and the newsletter."""

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from accounts.registration import AlreadyRegistered


class SignupForm(AllauthSignupForm):
    name = forms.CharField(
        label=_("Name"),
        max_length=120,
        required=False,
        help_text=_("How we address you."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    newsletter = forms.BooleanField(label=_("Send me the newsletter now and then."), required=False)

    field_order = ["email", "name", "password1", "newsletter"]

    def try_save(self, request: HttpRequest) -> tuple[Any, Any]:
        """As allauth's; who took the address in another tab since the form was checked, is sent to log in."""
        try:
            return super().try_save(request)
        except AlreadyRegistered:
            messages.info(request, _("There is an account with this e-mail address already. Sign in to it here."))
            return None, redirect("account_login")
