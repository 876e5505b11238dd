"""Where django-allauth's sign-up meets our own verb."""

from functools import partial
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from accounts.models import User
from accounts.registration import register


class AccountAdapter(DefaultAccountAdapter):
    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:  # noqa: ARG002
        user.name = form.cleaned_data.get("name", "")
        return register(
            save=partial(super().save_user, request, user, form, commit=True),
            newsletter=form.cleaned_data.get("newsletter", False),
        )
