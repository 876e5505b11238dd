"""One page, one button, one order."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from orders import cart as carts
from orders import links
from orders.checkout import (
    AlreadyAnswered,
    AlreadyPlaced,
    Buyer,
    Declined,
    InvalidOrder,
    Item,
    Key,
    KeyInProgress,
    KeyReused,
    OutOfStock,
    place_order,
)
from orders.forms import CheckoutForm, trial_cards
from orders.models import Order
from orders.pricing import SHIPPING_METHODS, quote
from orders.views.http import SeeOther


@never_cache
@require_http_methods(["GET", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    basket = carts.contents(request.session)
    try:
        if request.method == "POST":
            return _place(request, basket, CheckoutForm(request.POST))
        known = {"email": getattr(request.user, "email", "")}
        return _checkout_page(request, basket, CheckoutForm(initial=known))
    except InvalidOrder as refusal:
        # Whatever the form has not caught is about the things themselves: they are changed in the cart.
        for error in refusal.errors:
            messages.error(request, error.detail)
        return SeeOther(reverse("orders:cart"))


@never_cache
@require_GET
def checkout_summary(request: HttpRequest) -> HttpResponse:
    """What it costs with another way of delivery: the part of the page that changes."""
    basket = carts.contents(request.session)
    return render(request, "orders/_summary.html", _costs(basket, request.GET.get("shipping_method")))


def _place(request: HttpRequest, basket: carts.Cart, form: CheckoutForm) -> HttpResponse:
    if not form.is_valid():
        return _checkout_page(request, basket, form, status=422)
    key = Key(scope="form", key=str(form.cleaned_data["key"]), request_hash=form.fingerprint())
    if _placed_with(key) or not basket.lines:
        return _order_of(key)
    total = quote(_items(basket), form.cleaned_data["shipping_method"]).total
    if (total, basket.digest) != (form.cleaned_data["expected_total"], form.cleaned_data["expected_cart"]):
        return _checkout_page(request, basket, form, status=409, price_changed=True)
    return _buy(request, basket, form, key)


def _buy(request: HttpRequest, basket: carts.Cart, form: CheckoutForm, key: Key) -> HttpResponse:
    try:
        placed = _place_order(request, basket, form, key)
    except OutOfStock as refusal:
        return _checkout_page(request, basket, form, status=409, shortages=_shortages(basket, refusal))
    except Declined as refusal:
        form.add_error("payment_method", refusal.message)
        return _checkout_page(request, basket, form, status=402, declined=True)
    except KeyReused:
        return _checkout_page(request, basket, form, status=422, changed_meanwhile=True)
    except (AlreadyAnswered, KeyInProgress):
        return _order_of(key)
    except AlreadyPlaced as found:
        return _bought_before(request, found.order)
    _take_out(request, placed)
    return SeeOther(links.guest_path(placed))


def _bought_before(request: HttpRequest, placed: Order) -> HttpResponse:
    """This cart's order exists. Its things leave the cart once it is paid; until then it may still be declined."""
    if placed.paid_at is not None:
        _take_out(request, placed)
        if carts.count(request.session):
            words = _("Order %(number)s was placed before. What is not in it is still in your cart.")
            messages.info(request, words % {"number": placed.number})
    return SeeOther(links.guest_path(placed))


def _take_out(request: HttpRequest, placed: Order) -> None:
    carts.take_out(request.session, dict(placed.lines.values_list("sku", "quantity")))


def _place_order(request: HttpRequest, basket: carts.Cart, form: CheckoutForm, key: Key) -> Order:
    return place_order(
        items=_items(basket),
        buyer=Buyer(email=form.cleaned_data["email"], shipping_address=form.address(), user_id=request.user.pk),
        payment_method=form.cleaned_data["payment_method"],
        shipping_method=form.cleaned_data["shipping_method"],
        key=key,
        cart_token=carts.token(request.session),
    )


def _placed_with(key: Key) -> Order | None:
    same = Order.objects.filter(
        idempotency_keys__scope=key.scope,
        idempotency_keys__key=key.key,
        idempotency_keys__request_hash=key.request_hash,
    )
    return same.first()


def _order_of(key: Key) -> HttpResponse:
    """Pressed twice, or sent again from the browser's history: the order of the first time."""
    found = _placed_with(key)
    return SeeOther(links.guest_path(found) if found else reverse("orders:cart"))


def _checkout_page(
    request: HttpRequest, basket: carts.Cart, form: CheckoutForm, *, status: int = 200, **problem: Any
) -> HttpResponse:
    if not basket.lines:
        return SeeOther(reverse("orders:cart"))
    facts = {
        "form": form,
        "methods": [{"code": code, "name": name, "price": price} for code, (name, price) in SHIPPING_METHODS.items()],
        "cards": trial_cards(),
        "chosen_card": form["payment_method"].value() or "pm_card_visa",
        "fresh_key": uuid.uuid4(),
        **_costs(basket, form["shipping_method"].value()),
        **problem,
    }
    return render(request, "orders/checkout.html", facts, status=status)


def _costs(basket: carts.Cart, method: str | None) -> dict[str, Any]:
    chosen = method if method and method in SHIPPING_METHODS else next(iter(SHIPPING_METHODS))
    return {"cart": basket, "chosen_method": chosen, "quote": quote(_items(basket), chosen)}


def _items(basket: carts.Cart) -> list[Item]:
    return [Item(sku=line.product.sku, quantity=line.quantity) for line in basket.lines]


def _shortages(basket: carts.Cart, refusal: OutOfStock) -> list[dict[str, Any]]:
    names = {line.product.sku: line.product.name for line in basket.lines}
    return [{"name": names.get(line.sku, line.sku), "available": line.available} for line in refusal.lines]
