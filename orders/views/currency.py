"""The currency in which a visitor sees and pays everything."""

from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from orders.offers import currencies
from orders.views.http import SeeOther, back_to

COOKIE: Final = "currency"
YEAR: Final = 365 * 24 * 3600  # seconds


def money_of(request: HttpRequest) -> dict[str, Any]:
    """What a page with prices knows: the visitor's `currency`, and `currencies` to choose from. One query."""
    offered = currencies()
    return {"currency": _chosen(request, offered), "currencies": offered}


def currency_of(request: HttpRequest) -> str:
    """The visitor's currency alone: without a query for all who have not chosen another than the shop's own."""
    wanted = request.COOKIES.get(COOKIE, settings.CURRENCY)
    return settings.CURRENCY if wanted == settings.CURRENCY else _chosen(request, currencies())


def _chosen(request: HttpRequest, offered: Sequence[str]) -> str:
    wanted = request.COOKIES.get(COOKIE, "")
    return wanted if wanted in offered else settings.CURRENCY


@require_POST
def currency(request: HttpRequest) -> HttpResponse:
    """Remember the choice. What is in the cart stays there, in the other currency's prices."""
    response = SeeOther(back_to(request))
    wanted = request.POST.get("currency", "")
    if wanted in currencies():
        response.set_cookie(COOKIE, wanted, max_age=YEAR, samesite="Lax", httponly=True, secure=request.is_secure())
    return response
