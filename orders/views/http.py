"""What several pages read and answer."""

from typing import Any

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode


class SeeOther(HttpResponseRedirect):
    """Whatever was sent, go and GET the answer over there."""

    status_code = 303


def whole_number(text: str | None, *, otherwise: int = 0) -> int:
    """The number a visitor sent, or another one if it is none."""
    try:
        return int(text or "")
    except ValueError:
        return otherwise


def back_to(request: HttpRequest) -> str:
    """The page of this site that a switch was on: the form's `next`, or the first page."""
    back = request.POST.get("next", "/")
    return back if url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}) else "/"


def beside(request: HttpRequest, name: str, number: str, **more: Any) -> str:
    """Another page of the same order. A guest's key goes along."""
    asked = ({"key": request.GET["key"]} if "key" in request.GET else {}) | more
    path = reverse(f"orders:{name}", args=[number])
    return f"{path}?{urlencode(asked)}" if asked else path
