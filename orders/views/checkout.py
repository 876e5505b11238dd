"""One page, one button, one order."""

import uuid
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from accounts import addresses
from orders import cart as carts
from orders import links
from orders.checkout import (
    AlreadyAnswered,
    AlreadyPlaced,
    Buyer,
    Declined,
    InvalidOrder,
    Key,
    KeyInProgress,
    KeyReused,
    OutOfStock,
    place_order,
)
from orders.forms import CheckoutForm, trial_cards
from orders.guesses import TooManyGuesses
from orders.models import Order
from orders.views.cards import with_card_field
from orders.views.costs import Terms, costs, price
from orders.views.currency import currency_of
from orders.views.http import SeeOther


@never_cache
@require_http_methods(["GET", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    basket = _basket(request)
    form = CheckoutForm(request.POST) if request.method == "POST" else CheckoutForm(initial=_known(request))
    try:
        return _place(request, basket, form) if form.is_bound else _checkout_page(request, basket, form)
    except TooManyGuesses as refusal:
        return _checkout_page(request, basket, form, status=429, voucher_problem=str(refusal))
    except InvalidOrder as refusal:
        return _refused(request, basket, form, refusal)


@never_cache
@require_GET
def checkout_summary(request: HttpRequest) -> HttpResponse:
    """What it costs with another way of delivery or country: the part of the page that changes."""
    terms = Terms(
        shipping_method=request.GET.get("shipping_method", "")[:30],
        country=request.GET.get("country", carts.country(request.session))[:2],
        voucher=carts.voucher(request.session),
    )
    try:
        facts = costs(request, _basket(request), terms)
    except InvalidOrder:
        return HttpResponseClientRedirect(reverse("orders:cart"))
    return render(request, "orders/_summary.html", facts)


@never_cache
@require_POST
def checkout_voucher(request: HttpRequest) -> HttpResponse:
    """Apply a voucher, or take it away, and show what it costs then. Everything typed stays."""
    typed = request.POST.dict() | ({"voucher": ""} if "remove" in request.POST else {})
    form = CheckoutForm(initial=typed)
    basket = _basket(request)
    try:
        facts = costs(request, basket, _terms(form))
    except InvalidOrder as refusal:
        return _refused(request, basket, form, refusal)
    carts.use_voucher(request.session, "" if "voucher_problem" in facts else facts["typed_voucher"])
    carts.send_to(request.session, _terms(form).country)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "orders/_summary.html", {**facts, "swap_voucher": True})
    return _page_with(request, form, facts)


def _basket(request: HttpRequest) -> carts.Cart:
    return carts.contents(request.session, currency=currency_of(request))


def _known(request: HttpRequest) -> dict[str, str]:
    address = addresses.prefilled(request.user, chosen=_chosen(request)) if request.user.is_authenticated else {}
    return {
        "email": getattr(request.user, "email", ""),
        "country": carts.country(request.session),
        "voucher": carts.voucher(request.session),
        **address,
    }


def _chosen(request: HttpRequest) -> UUID | None:
    """The address from the person's book that the link named."""
    try:
        return UUID(request.GET.get("address", ""))
    except ValueError:
        return None


def _place(request: HttpRequest, basket: carts.Cart, form: CheckoutForm) -> HttpResponse:
    if not form.is_valid():
        return _checkout_page(request, basket, form, status=422)
    scope = f"form:{carts.visitor(request.session)}"
    key = Key(scope=scope, key=str(form.cleaned_data["key"]), request_hash=form.fingerprint())
    if _placed_with(key) or not basket.lines:
        return _order_of(key)
    carts.send_to(request.session, form.cleaned_data["country"])
    total = price(request, basket, replace(_terms(form), email=form.cleaned_data["email"])).total
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
    return _to_order(request, placed)


def _to_order(request: HttpRequest, placed: Order) -> HttpResponse:
    if placed.paid_at is None:
        carts.remember_payment(request.session, placed)
    return SeeOther(links.guest_path(placed))


def _bought_before(request: HttpRequest, placed: Order) -> HttpResponse:
    """This cart's order exists. Its things leave the cart once it is paid; until then it may still be declined."""
    if placed.paid_at is not None:
        _take_out(request, placed)
        if carts.count(request.session):
            words = _("Order %(number)s was placed before. What is not in it is still in your cart.")
            messages.info(request, words % {"number": placed.number})
    return _to_order(request, placed)


def _take_out(request: HttpRequest, placed: Order) -> None:
    carts.take_out(request.session, dict(placed.lines.values_list("sku", "quantity")))


def _place_order(request: HttpRequest, basket: carts.Cart, form: CheckoutForm, key: Key) -> Order:
    return place_order(
        items=basket.items,
        buyer=Buyer(email=form.cleaned_data["email"], shipping_address=form.address(), user_id=request.user.pk),
        payment_method=form.cleaned_data["payment_method"],
        shipping_method=form.cleaned_data["shipping_method"],
        currency=basket.currency,
        voucher=form.cleaned_data["voucher"],
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


def _refused(request: HttpRequest, basket: carts.Cart, form: CheckoutForm, refusal: InvalidOrder) -> HttpResponse:
    """What is about a field is said beside it. All else is about the things: those are changed in the cart."""
    if not form.is_bound or any(error.field not in form.fields for error in refusal.errors):
        for error in refusal.errors:
            messages.error(request, error.detail)
        return SeeOther(reverse("orders:cart"))
    problem = {}
    for error in refusal.errors:
        form.add_error(error.field, error.detail)
        if error.field == "voucher":
            problem["voucher_problem"] = error.detail
    return _checkout_page(request, basket, form, status=422, **problem)


def _checkout_page(
    request: HttpRequest, basket: carts.Cart, form: CheckoutForm, *, status: int = 200, **problem: Any
) -> HttpResponse:
    if not basket.lines:
        return SeeOther(reverse("orders:cart"))
    # A code that has just been refused is not asked about again: that would be one more guess.
    terms = replace(_terms(form), voucher="") if "voucher_problem" in problem else _terms(form)
    facts = costs(request, basket, terms) | {"typed_voucher": _terms(form).voucher}
    return _page_with(request, form, {**facts, **problem}, status=status)


def _page_with(request: HttpRequest, form: CheckoutForm, facts: dict[str, Any], *, status: int = 200) -> HttpResponse:
    more = {
        "form": form,
        "cards": trial_cards(),
        "card_key": settings.STRIPE_PUBLISHABLE_KEY,
        "chosen_card": form["payment_method"].value() or "pm_card_visa",
        "fresh_key": uuid.uuid4(),
        "own_addresses": addresses.of(request.user) if request.user.is_authenticated else [],
    }
    return with_card_field(render(request, "orders/checkout.html", {**more, **facts}, status=status))


def _terms(form: CheckoutForm) -> Terms:
    """What the form says, be it right or not."""
    said = {name: str(form[name].value() or "").strip() for name in ("shipping_method", "country", "voucher")}
    return Terms(
        shipping_method=said["shipping_method"][:30], country=said["country"][:2], voucher=said["voucher"][:40]
    )


def _shortages(basket: carts.Cart, refusal: OutOfStock) -> list[dict[str, Any]]:
    names = {line.product.sku: line.product.name for line in basket.lines}
    return [{"name": names.get(line.sku, line.sku), "available": line.available} for line in refusal.lines]
