"""Light, dark, or as the system."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from orders.views.http import SeeOther, back_to

THEMES: Final = ("system", "light", "dark")
YEAR: Final = 365 * 24 * 3600  # seconds


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or the system's choice; the server writes it into every page, so nothing flashes."""
    wanted = request.POST.get("theme", "")
    response = SeeOther(back_to(request))
    if wanted in THEMES:
        response.set_cookie("theme", wanted, max_age=YEAR, samesite="Lax", secure=request.is_secure())
    return response
