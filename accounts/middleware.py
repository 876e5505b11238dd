"""For every page: the visitor's time zone, the second factor of staff, and account pages that nobody keeps."""

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from accounts.profile import TIME_ZONE_COOKIE, time_zone_named
from accounts.second_factor import must_set_one_up

Answer = Callable[[HttpRequest], HttpResponse]
# Where a second factor is set up, and what one needs on the way there.
OPEN_TO_STAFF: Final = ("/accounts/", settings.STATIC_URL, "/theme/")
KEPT_BY_NOBODY: Final = ("/accounts/", "/admin/")


class OwnTimeZone:
    """Times are shown as this visitor's clock has them. In a cookie: not worth a query on each page."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(time_zone_named(request.COOKIES.get(TIME_ZONE_COOKIE, ""))):
            return self.get_response(request)


class StaffSecondFactor:
    """Staff without a second factor are led to where they set one up, and see nothing else."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without a session nobody is logged in, and the database is not asked who.
        named = settings.STAFF_NEED_SECOND_FACTOR and settings.SESSION_COOKIE_NAME in request.COOKIES
        if named and not request.path_info.startswith(OPEN_TO_STAFF) and must_set_one_up(request.user):
            messages.info(request, _("Staff need a second factor. Set it up first; everything else opens then."))
            return redirect("mfa_index")
        return self.get_response(request)


class KeptByNobody:
    """No cache, and no Back button after signing out, shows the pages of an account or of staff."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path_info.startswith(KEPT_BY_NOBODY):
            add_never_cache_headers(response)
        return response
