"""/accounts/newsletter/: what this person wants to read, without a letter's link."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import preferences as wishes
from accounts.models import User


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    if request.method == "POST":
        if request.POST.get("do") == "join":
            wishes.join(user)
            messages.success(request, _("Asked. We wrote to you: follow the link in that letter."))
        else:
            wishes.leave(user)
            messages.success(request, _("You get no more newsletters."))
        return redirect("preferences")
    return render(request, "accounts/preferences.html", {"subscriber": wishes.standing(user)})
