"""Views of forms with files, which are taken in while they come."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from uploads import intake, storage
from uploads.arriving import Arrivals, Arrived, check_length
from uploads.models import Upload
from uploads.receiving import TooLarge

View = Callable[..., HttpResponse]


def takes_files(view: View) -> View:
    """Give `view` the files of a POST as `arrived`, whole or refused, and nothing with other methods.

    A request that is too large is not read at all: then there is no form, and one Arrived without a name. Of visitors
    nothing is kept: it would belong to nobody. Whoever may not send any is to be refused around this, before it.
    """

    @csrf_exempt  # the token is in the form, and that is not read before its length is known
    @wraps(view)
    def receiving(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return view(request, *args, arrived=[], **kwargs)
        try:
            check_length(request)
        except TooLarge as why:
            return view(request, *args, arrived=[Arrived(name="", refusal=why)], **kwargs)
        try:
            with storage.workplace() as folder:
                arrivals = Arrivals(folder, keeping=request.user.is_authenticated)
                request.upload_handlers = [arrivals]
                return csrf_protect(_read)(request, arrivals, view, args, kwargs)
        except storage.DiskFull:
            full = storage.DiskFull(_("There is no room on our disk just now. Try again later."))
            return view(request, *args, arrived=[Arrived(name="", refusal=full)], **kwargs)

    return receiving


def _read(request: HttpRequest, arrivals: Arrivals, view: View, args: Any, kwargs: Any) -> HttpResponse:
    request.FILES  # noqa: B018  reading it is what brings the files
    return view(request, *args, arrived=arrivals.arrived, **kwargs)


def taken(owner: Any, arrived: Arrived) -> Upload | Arrived:
    """The upload that was made of it, or the same with the reason why there is none."""
    if arrived.file is None:
        return arrived
    try:
        return intake.accept(owner=owner, file=arrived.file)
    except (intake.OverQuota, intake.TooOften) as why:
        return Arrived(name=arrived.name, refusal=why)
