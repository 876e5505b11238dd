"""The cart's page and its buttons."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from orders import cart as carts
from orders.models import Product
from orders.pricing import MOST_OF_ONE
from orders.views.http import SeeOther, whole_number
from orders.views.shelf import for_sale


@require_GET
def cart(request: HttpRequest) -> HttpResponse:
    return render(request, "orders/cart.html", {"cart": carts.contents(request.session), "most": MOST_OF_ONE})


@require_POST
def cart_add(request: HttpRequest) -> HttpResponse:
    found = get_object_or_404(for_sale(), sku=request.POST.get("sku", ""))
    asked = whole_number(request.POST.get("quantity"), otherwise=1)
    now_in = carts.add(request.session, sku=found.sku, quantity=asked)
    _say_if_capped(request, found, quantity=now_in)
    return SeeOther(reverse("orders:cart"))


@require_POST
def cart_change(request: HttpRequest) -> HttpResponse:
    """The line's number, one more or less where a step button was pressed, or the number on the button instead."""
    found = get_object_or_404(Product, sku=request.POST.get("sku", ""))
    stepped = whole_number(request.POST.get("quantity"), otherwise=1) + whole_number(request.POST.get("step"))
    asked = whole_number(request.POST.get("instead"), otherwise=stepped)
    carts.change(request.session, sku=found.sku, quantity=asked)
    if asked > MOST_OF_ONE:
        _say_if_capped(request, found, quantity=MOST_OF_ONE)
    if not request.htmx:  # type: ignore[attr-defined]
        return SeeOther(reverse("orders:cart"))
    facts = {"cart": carts.contents(request.session), "most": MOST_OF_ONE, "swap": True}
    return render(request, "orders/_cart.html", facts)


def _say_if_capped(request: HttpRequest, found: Product, *, quantity: int) -> None:
    if quantity >= MOST_OF_ONE:
        words = _("%(most)d of %(name)s is the most one order takes.")
        messages.info(request, words % {"most": MOST_OF_ONE, "name": found.name})
