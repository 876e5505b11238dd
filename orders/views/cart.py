"""The cart's page and its buttons."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from orders import cart as carts
from orders.models import Product
from orders.offers import sold_in
from orders.pricing import MOST_OF_ONE, InvalidOrder, quote_goods
from orders.views.currency import currency_of, money_of
from orders.views.http import SeeOther, whole_number
from orders.views.shelf import for_sale


@require_GET
def cart(request: HttpRequest) -> HttpResponse:
    money = money_of(request)
    return render(request, "orders/cart.html", {**money, **_facts(request, money["currency"])})


@require_POST
def cart_add(request: HttpRequest) -> HttpResponse:
    priced = sold_in(for_sale(), currency=currency_of(request))
    found = get_object_or_404(priced.exclude(unit_price=None), sku=request.POST.get("sku", ""))
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
    return render(request, "orders/_cart.html", {**_facts(request, currency_of(request)), "swap": True})


def _facts(request: HttpRequest, currency: str) -> dict[str, Any]:
    basket = carts.contents(request.session, currency=currency)
    return {"cart": basket, "most": MOST_OF_ONE, **_sums(request, basket)}


def _sums(request: HttpRequest, basket: carts.Cart) -> dict[str, Any]:
    """Discount and tax of what can be bought as it is; a code that does not count is said, not silently dropped."""
    code, country = carts.voucher(request.session), carts.country(request.session)
    if not basket.can_be_bought or not (code or country):
        return {}
    known = {"country": country, "currency": basket.currency}
    try:
        return {"quote": quote_goods(basket.items, voucher=code, **known)}
    except InvalidOrder as refusal:
        return {"quote": quote_goods(basket.items, **known), "voucher_problem": refusal.errors[0].detail}


def _say_if_capped(request: HttpRequest, found: Product, *, quantity: int) -> None:
    if quantity >= MOST_OF_ONE:
        words = _("%(most)d of %(name)s is the most one order takes.")
        messages.info(request, words % {"most": MOST_OF_ONE, "name": found.name})
