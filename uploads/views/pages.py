"""/uploads/: a person's files, how far each of them is, and the buttons for them."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from uploads import avatars, intake, storage
from uploads.arriving import FIELD, Arrived
from uploads.formats import ACCEPT, WORDS
from uploads.limits import LARGEST, in_words
from uploads.models import Upload
from uploads.receiving import TooLarge
from uploads.shown import Shown, shown
from uploads.views.arrivals import taken, takes_files

STOP_POLLING: Final = 286  # htmx's own number for it
ON_A_PAGE: Final = 24


@never_cache
@login_required
@takes_files
def uploads(request: HttpRequest, *, arrived: Sequence[Arrived]) -> HttpResponse:
    """The list, and the form for more."""
    if request.method != "POST":
        return _page(request)
    answers = [taken(request.user, one) for one in arrived]
    made = [one for one in answers if isinstance(one, Upload)]
    refused = [one for one in answers if isinstance(one, Arrived)]
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        rows = {"rows": [shown(one) for one in made], "refused": refused}
        return render(request, "uploads/_rows.html", rows, status=200 if made else 422)
    if refused or not made:
        return _page(request, refused=refused or [Arrived(name="")], status=_status(refused))
    return redirect("uploads")


def _status(refused: Sequence[Arrived]) -> int:
    kinds = {type(one.refusal) for one in refused}
    return 503 if storage.DiskFull in kinds else 413 if TooLarge in kinds else 422


@require_GET
@never_cache
@login_required
def row(request: HttpRequest, uid: UUID) -> HttpResponse:
    """One file's row: 204 while nothing is new, 286 when nothing will move any more."""
    upload = shown(_own(request, uid))
    if upload.moving and request.GET.get("seen") == upload.seen:
        return HttpResponse(status=204)
    return render(request, "uploads/_row.html", {"row": upload}, status=200 if upload.moving else STOP_POLLING)


@require_POST
@never_cache
@login_required
def press(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The buttons of a row."""
    upload, button = _own(request, uid), request.POST.get("do", "")
    if button == "delete":
        _delete(request, upload)
    elif button == "retry":
        _retry(request, upload)
    elif button == "avatar":
        _choose(request, upload)
    elif button == "no-avatar":
        avatars.remove(owner=request.user)
    return redirect("uploads")


def _delete(request: HttpRequest, upload: Upload) -> None:
    try:
        intake.delete(upload=upload)
    except intake.InUse as why:
        messages.error(request, str(why))
    else:
        messages.success(request, _("%(name)s is deleted.") % {"name": upload.name})


def _retry(request: HttpRequest, upload: Upload) -> None:
    try:
        intake.retry(upload=upload)
    except intake.NotFailed as why:
        messages.error(request, str(why))


def _choose(request: HttpRequest, upload: Upload) -> None:
    try:
        avatars.choose(upload=upload)
    except avatars.NoPicture as why:
        messages.error(request, str(why))
    else:
        messages.success(request, _("%(name)s is your picture now.") % {"name": upload.name})


def _page(request: HttpRequest, *, refused: Any = (), status: int = 200) -> HttpResponse:
    own = (
        Upload.objects.owned_by(request.user).select_related("as_avatar").prefetch_related("renditions").order_by("-pk")
    )
    page = Paginator(own.order_by("-pk"), ON_A_PAGE).get_page(request.GET.get("page"))
    rows: list[Shown] = [shown(upload) for upload in page]
    context = {
        "page": page,
        "rows": rows,
        "refused": refused,
        "moving": any(one.moving for one in rows),
        "field": FIELD,
        "accept": ACCEPT,
        "words": WORDS,
        "most_image": in_words(LARGEST["image"]),
        "most_video": in_words(LARGEST["video"]),
    }
    return render(request, "uploads/uploads.html", context, status=status)


def _own(request: HttpRequest, uid: UUID) -> Upload:
    return get_object_or_404(Upload.objects.owned_by(request.user).prefetch_related("renditions"), uid=uid)
