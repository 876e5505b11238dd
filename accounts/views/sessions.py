"""/accounts/sessions/: where this person is logged in."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import sessions as ends
from accounts.models import User


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def sessions(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    if request.method == "POST":
        chosen = request.POST.get("session", "")
        if chosen.isascii() and chosen.isdigit():
            ends.end(user=user, session_id=int(chosen[:18]))
        else:
            ends.end_all(user=user, but=request.session.session_key or "")
        messages.success(request, _("Signed out there."))
        return redirect("sessions")
    return render(request, "accounts/sessions.html", {"sessions": ends.sessions_of(user)})
