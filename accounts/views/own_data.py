"""/accounts/export/ and /accounts/delete/: what we keep of this person, to take along or to have forgotten."""

import time
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import erasure
from accounts.models import User
from notifications.personal_data import exports, progress
from notifications.personal_data.models import Export


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def export(request: HttpRequest) -> HttpResponse:
    """The button, how far the copy is, and where it lies."""
    mine = Export.objects.of(request.user.pk)
    if request.method != "POST":
        found = mine.exclude(state=Export.State.GONE).first()
        done, total = progress.told(found) if found else (0, 0)
        context = {"export": found, "done": done, "total": total, "days": exports.KEPT.days}
        return render(request, "accounts/export.html", context)
    try:
        exports.ask(user_id=cast(User, request.user).pk)
    except exports.OneIsThere:
        messages.info(request, _("There is one already."))
    return redirect("export")


@never_cache
@require_GET
@login_required
def download(request: HttpRequest, uid: UUID) -> HttpResponseBase:
    """The file, for its owner, who has just shown that it is them."""
    found = get_object_or_404(Export.objects.of(request.user.pk).ready(), uid=uid)
    if asked := _who_are_you(request):
        return asked
    try:
        content = exports.open_file(found)
    except FileNotFoundError as error:
        raise Http404 from error
    name = f"waybill-{found.asked_at:%Y-%m-%d}.zip"
    return FileResponse(content, as_attachment=True, filename=name, content_type="application/zip")


@never_cache
@require_POST
@login_required
def drop(request: HttpRequest, uid: UUID) -> HttpResponse:
    if exports.forget(Export.objects.of(request.user.pk).filter(uid=uid)):
        messages.success(request, _("Deleted."))
    return redirect("export")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def delete(request: HttpRequest) -> HttpResponse:
    """What happens then, and the button. Opens to who has just given the password, and the second factor too."""
    user = cast(User, request.user)
    if asked := _who_are_you(request):
        return asked
    if request.method != "POST" or user.is_staff:
        return render(request, "accounts/delete.html", {"staff": user.is_staff})
    if request.POST.get("sure") != "yes":
        return render(request, "accounts/delete.html", {"unsure": True}, status=422)
    try:
        erasure.close(user=user)
    except erasure.StaffStay:
        return render(request, "accounts/delete.html", {"staff": True}, status=403)
    except erasure.ClosedBefore:
        pass  # in another tab: it is as was wished
    logout(request)
    return redirect("account_deleted")


@require_GET
def deleted(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/deleted.html")


def _who_are_you(request: HttpRequest) -> HttpResponse | None:
    """The page that asks for what they have not shown in the last minutes; None when they have shown it all."""
    user = cast(User, request.user)
    since = time.time() - app_settings.REAUTHENTICATION_TIMEOUT
    records = get_authentication_records(request, user)
    shown = {one["method"] for one in records if one.get("reauthenticated") and one["at"] > since}
    ways = {"password": "account_reauthenticate"} if user.has_usable_password() else {}
    factors = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    if factors:
        by_key_only = factors == {Authenticator.Type.WEBAUTHN}
        ways["mfa"] = "mfa_reauthenticate_webauthn" if by_key_only else "mfa_reauthenticate"
    missing = [page for method, page in ways.items() if method not in shown]
    return redirect(f"{reverse(missing[0])}?{urlencode({'next': request.path})}") if missing else None
