"""/accounts/api-keys/: the keys of a person's programs."""

from datetime import datetime, timedelta
from typing import Any, Final, cast

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts import keys as verbs
from accounts.models import ApiKey, User
from accounts.postal import line
from notifications.api.scopes import SCOPES, may_give

LIVES: Final = {30: gettext_lazy("30 days"), 90: gettext_lazy("90 days"), 365: gettext_lazy("a year")}
OVERLAPS: Final = {0: gettext_lazy("at once"), 1: gettext_lazy("in an hour"), 24: gettext_lazy("in a day"),
                   168: gettext_lazy("in a week")}  # fmt: skip


class KeyForm(forms.Form):
    name = line(gettext_lazy("Name"), autocomplete="off", length=verbs.NAME_LENGTH)
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"), widget=forms.CheckboxSelectMultiple, choices=list(SCOPES.items())
    )
    days = forms.TypedChoiceField(
        label=gettext_lazy("It ends after"),
        coerce=int,
        empty_value=None,
        choices=[*LIVES.items(), ("", gettext_lazy("never"))],
        initial=90,
        required=False,
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        own, chosen = may_give(user), cast(Any, self.fields["scopes"])
        chosen.choices = [(scope, words) for scope, words in SCOPES.items() if scope in own]
        self.fields["name"].help_text = gettext_lazy("What to know it by: the program, or the machine it runs on.")

    def end(self) -> datetime | None:
        days: int | None = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def keys(request: HttpRequest) -> HttpResponse:
    """The list, and the form for one more."""
    return _make(request) if request.method == "POST" else _page(request, KeyForm(user=cast(User, request.user)))


@require_POST
@login_required
def press(request: HttpRequest, key_id: int) -> HttpResponse:
    """The buttons beside a key."""
    if request.POST.get("do") == "replace":
        return _replace(request, key_id=key_id)
    if verbs.revoke_own(user=cast(User, request.user), key_id=key_id):
        messages.success(request, _("Revoked. It opens nothing from now on."))
    return redirect("api_keys")


@reauthentication_required(app="allauth.account")
def _make(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = KeyForm(request.POST, user=user)
    if not form.is_valid():
        return _page(request, form, status=422)
    name, scopes = form.cleaned_data["name"], form.cleaned_data["scopes"]
    try:
        key, plain = verbs.make_own(user=user, name=name, scopes=scopes, expires_at=form.end())
    except (verbs.NotYours, verbs.TooManyKeys) as refusal:
        form.add_error(None, str(refusal))
        return _page(request, form, status=422)
    return render(request, "accounts/key_made.html", {"key": key, "plain": plain})


@reauthentication_required(app="allauth.account")
def _replace(request: HttpRequest, *, key_id: int) -> HttpResponse:
    hours = request.POST.get("overlap", "")
    overlap = timedelta(hours=int(hours) if hours in map(str, OVERLAPS) else 0)
    made = verbs.replace(user=cast(User, request.user), key_id=key_id, overlap=overlap)
    if made is None:
        messages.error(request, _("This key has been replaced or has ended."))
        return redirect("api_keys")
    key, plain = made
    return render(request, "accounts/key_made.html", {"key": key, "plain": plain, "replaces": True})


def _page(request: HttpRequest, form: KeyForm, *, status: int = 200) -> HttpResponse:
    user = cast(User, request.user)
    rows = ApiKey.objects.filter(user=user).order_by("-pk")[: verbs.MOST]
    live = set(verbs.live(user=user).values_list("pk", flat=True))
    context = {"form": form, "keys": [(key, key.pk in live) for key in rows], "overlaps": OVERLAPS.items()}
    return render(request, "accounts/keys.html", context, status=status)
