"""/accounts/profile/: name, language, time zone."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts import profile as profiles
from accounts.models import Profile, User
from accounts.postal import line
from accounts.profile import time_zones


def _time_zone_choices() -> list[tuple[str, str]]:
    return [("", str(gettext_lazy("UTC"))), *((name, name.replace("_", " ")) for name in sorted(time_zones()))]


class ProfileForm(forms.Form):
    display_name = line(gettext_lazy("Name"), autocomplete="name", length=120, required=False)
    locale = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=[("", gettext_lazy("What the browser asks for")), *settings.LANGUAGES],
        required=False,
    )
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"), choices=_time_zone_choices, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["display_name"].help_text = gettext_lazy("How we address you.")
        self.fields["time_zone"].help_text = gettext_lazy("The times on our pages and in letters are of this place.")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    form = ProfileForm(request.POST or None, initial=_known(user))
    if request.method == "POST" and form.is_valid():
        profiles.change(user=user, **form.cleaned_data)
        messages.success(request, _("Saved."))
        return _remembered(form)
    return render(request, "accounts/profile.html", {"form": form}, status=422 if form.errors else 200)


def _known(user: User) -> dict[str, str]:
    found = Profile.objects.filter(user=user).first()
    if found is None:
        return {"display_name": user.name}
    return {"display_name": found.display_name, "locale": found.locale, "time_zone": found.time_zone}


def _remembered(form: ProfileForm) -> HttpResponse:
    """By this browser at once, by others when the person logs in there, and by letters."""
    response = redirect("profile")
    chosen = form.cleaned_data
    profiles.remember(response, locale=chosen["locale"], time_zone=chosen["time_zone"])
    return response
