"""Who pressed a button of the staff pages, and where."""

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def by(request: HttpRequest) -> str:
    return f"user:{request.user.pk}"


def asked_from(request: HttpRequest) -> str:
    """The staff page whose button was pressed, if it is one of ours."""
    asked = request.POST.get("next", "")
    return asked if url_has_allowed_host_and_scheme(asked, allowed_hosts=None) else ""
