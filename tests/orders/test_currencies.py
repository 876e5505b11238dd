"""One shop, several currencies: every page shows the visitor's, and an order has one."""

import re
import uuid

import pytest
from django.core.cache import cache

from orders import inventory
from orders.gateways import stripe
from orders.gateways.base import Outcome, Status
from orders.models import Order, Product, ProductPrice, ShippingMethod, ShippingPrice, TaxRate, Voucher
from tests.api.programs import Program, customer, sent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_has_guessed():
    cache.clear()


@pytest.fixture(autouse=True)
def charges(monkeypatch):
    asked = []

    def charge(request):
        asked.append((request.amount, request.currency))
        return Outcome(
            status=Status.SUCCEEDED,
            gateway_id=f"pi_{uuid.uuid4()}",
            amount=request.amount,
            currency=request.currency,
        )

    monkeypatch.setattr(stripe, "charge", charge)
    return asked


@pytest.fixture
def shop():
    """A mug for euros, dollars and yen, and a hat for euros alone."""
    mug, hat = (
        Product.objects.create(sku=sku, slug=sku.lower(), name=f"A {sku.lower()}", price=price)
        for sku, price in (("MUG", 1200), ("HAT", 900))
    )
    standard = ShippingMethod.objects.get(code="standard")
    for currency, price, delivery in (("USD", 1350, 600), ("JPY", 2100, 800)):
        ProductPrice.objects.create(product=mug, currency=currency, price=price)
        ShippingPrice.objects.create(method=standard, currency=currency, price=delivery)
    for product in (mug, hat):
        inventory.set_on_hand(product=product, on_hand=10, note="test")
    return mug


def choose(client, currency, **more):
    return client.post("/currency/", {"currency": currency, "next": "/cart/", **more})


def page(client, path):
    return client.get(path).content.decode()


def form(client, **other):
    names = ("key", "expected_total", "expected_cart")
    shown = page(client, "/checkout/")
    return {
        **{name: re.search(rf'name="{name}" value="([^"]+)"', shown)[1] for name in names},
        "email": "ada@example.com",
        "name": "Ada",
        "line1": "Quay 1",
        "postal_code": "1",
        "city": "Hoorn",
        "country": "NL",
        "shipping_method": "standard",
        "payment_method": "pm_card_visa",
        **other,
    }


def test_a_shop_with_one_currency_shows_no_switch(client):
    product = Product.objects.create(sku="MUG", slug="mug", name="A mug", price=1200)
    inventory.set_on_hand(product=product, on_hand=1, note="test")

    assert "/currency/" not in page(client, "/")


def test_the_switch_marks_the_currency_in_use(client, shop):
    choose(client, "USD")

    pressed = re.findall(r'name="currency" value="(\w+)" aria-pressed="(\w+)"', page(client, "/"))

    assert pressed == [("EUR", "false"), ("JPY", "false"), ("USD", "true")]


def test_every_page_follows_the_choice(client, shop):
    client.post("/cart/add/", {"sku": "MUG", "quantity": 2})
    choose(client, "USD")

    assert "$13.50" in page(client, "/")
    assert "$13.50" in page(client, "/products/mug/")
    assert "$27.00" in page(client, "/cart/")
    assert 'name="expected_total" value="3300"' in page(client, "/checkout/")


def test_yen_are_shown_without_a_decimal_point(client, shop):
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})
    choose(client, "JPY")

    assert "¥2,100" in page(client, "/")
    assert "¥2,900" in page(client, "/checkout/")


def test_an_order_is_charged_and_kept_in_the_chosen_currency(client, shop, charges):
    client.post("/cart/add/", {"sku": "MUG", "quantity": 2})
    choose(client, "JPY")

    client.post("/checkout/", form(client))

    assert charges == [(5000, "JPY")]
    order = Order.objects.get()
    assert (order.currency, order.subtotal, order.shipping, order.total) == ("JPY", 4200, 800, 5000)


def test_what_is_not_sold_in_a_currency_says_so_and_cannot_be_added(client, shop):
    choose(client, "USD")

    assert "not sold in USD" in page(client, "/")
    assert "Add to cart" not in page(client, "/products/hat/")
    assert client.post("/cart/add/", {"sku": "HAT", "quantity": 1}).status_code == 404
    assert "cart" not in client.session


def test_a_cart_with_something_not_sold_in_the_currency_does_not_lead_to_the_checkout(client, shop):
    client.post("/cart/add/", {"sku": "HAT", "quantity": 1})
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})
    choose(client, "USD")

    shown = page(client, "/cart/")
    checkout = client.get("/checkout/", follow=True).content.decode()

    assert "Not sold in USD." in shown
    assert "Go to checkout" not in shown
    assert "&#x27;HAT&#x27; is not sold in USD." in checkout


def test_another_currency_at_the_same_number_is_shown_before_it_is_charged(client, shop, charges):
    ProductPrice.objects.filter(currency="USD").update(price=1200)
    ShippingPrice.objects.filter(currency="USD").update(price=490)
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})
    filled = form(client)
    choose(client, "USD")

    assert client.post("/checkout/", filled).status_code == 409
    assert charges == []


@pytest.mark.parametrize("nonsense", ["", "XYZ", "eur", "USD;", "<b>", "EUR"])
def test_a_currency_that_is_not_offered_changes_nothing(client, shop, nonsense):
    choose(client, nonsense)
    client.cookies["currency"] = nonsense

    assert "€12.00" in page(client, "/")


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example"])
def test_the_switch_leads_nowhere_else(client, shop, elsewhere):
    assert choose(client, "USD", next=elsewhere)["Location"] == "/"


def test_a_currency_that_the_shop_gives_up_falls_back_to_its_own(client, shop):
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})
    choose(client, "USD")
    ShippingPrice.objects.filter(currency="USD").delete()

    assert "€12.00" in page(client, "/")
    assert 'name="expected_total" value="1690"' in page(client, "/checkout/")


def test_a_voucher_for_euros_is_refused_for_dollars(client, shop):
    Voucher.objects.create(code="FIVE", kind="amount", value=500, currency="EUR")
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})
    choose(client, "USD")

    shown = client.post("/checkout/voucher/", form(client, voucher="FIVE")).content.decode()

    assert "The voucher FIVE is for orders in EUR, not in USD." in shown


# -- Tax and delivery on the pages ------------------------------------------------------------


def summary(client, **asked):
    return client.get("/checkout/summary/", asked, headers={"HX-Request": "true"})


def test_the_tax_in_the_prices_is_told_once_the_country_is_known(client, shop):
    TaxRate.objects.create(country="NL", rate=2100)
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})

    assert "VAT" not in page(client, "/checkout/")
    shown = summary(client, country="NL", shipping_method="standard").content.decode()

    assert re.search(r"includes 21 % VAT</dt><dd>€2\.93<", shown)
    assert 'name="expected_total" value="1690"' in shown


def test_tax_on_top_changes_the_total_and_is_never_charged_unseen(client, shop, settings, charges):
    settings.PRICES_INCLUDE_TAX = False
    TaxRate.objects.create(country="NL", rate=2100)
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})

    answer = client.post("/checkout/", form(client))
    shown = answer.content.decode()

    assert answer.status_code == 409
    assert charges == []
    assert re.search(r"Tax, 21 %</dt><dd>€3\.55<", shown)
    assert "The total is now €20.45" in shown


def test_the_country_of_the_last_try_is_remembered_for_the_cart(client, shop):
    TaxRate.objects.create(country="NL", rate=2100)
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})
    client.post("/checkout/voucher/", form(client))

    assert re.search(r"includes 21 % VAT</dt><dd>€2\.08<", page(client, "/cart/"))


def test_the_ways_of_delivery_follow_the_country(client, shop):
    ShippingMethod.objects.filter(code="standard").update(countries=["DE"])
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})

    shown = summary(client, country="NL", shipping_method="standard").content.decode()

    assert re.search(r'value="standard"[^>]* disabled', shown)
    assert re.search(r'value="express"[^>]* checked', shown)
    assert 'name="expected_total" value="2190"' in shown


def test_where_nothing_is_delivered_the_page_says_so_and_nothing_is_charged(client, shop, charges):
    ShippingMethod.objects.update(countries=["DE"])
    client.post("/cart/add/", {"sku": "MUG", "quantity": 1})

    answer = client.post("/checkout/", form(client))

    assert answer.status_code == 422
    assert "Nothing is delivered to Netherlands." in answer.content.decode()
    assert charges == []


def test_looking_at_the_sums_of_an_empty_cart_leads_to_the_cart(client):
    assert client.get("/checkout/summary/")["HX-Redirect"] == "/cart/"


# -- In the API -------------------------------------------------------------------------------


@pytest.fixture
def ada(transactional_db, shop):
    return Program(customer(), ["orders:read", "orders:write"])


def test_products_are_priced_in_the_currency_asked_for_and_else_in_their_own(ada):
    def prices(**query):
        return {row["sku"]: tuple(row["price"].values()) for row in sent(ada.get("products/", query))["results"]}

    assert prices() == {"MUG": (1200, "EUR"), "HAT": (900, "EUR")}
    assert prices(currency="jpy") == {"MUG": (2100, "JPY"), "HAT": (900, "EUR")}
    assert sent(ada.get("products/MUG/", {"currency": "USD"}))["price"] == {"amount": 1350, "currency": "USD"}


@pytest.mark.parametrize("path", ["products/", "products/MUG/"])
def test_products_in_what_is_no_currency_are_a_400(ada, path):
    assert ada.get(path, {"currency": "EURO"}).status_code == 400


def test_a_program_orders_in_another_currency(ada, charges):
    answer = ada.order(items=[{"sku": "MUG", "quantity": 1}], currency="jpy")

    assert answer.status_code == 201
    assert sent(answer)["total"] == {"amount": 2900, "currency": "JPY"}
    assert charges == [(2900, "JPY")]


def test_a_program_is_told_what_is_not_sold_in_its_currency(ada, charges):
    answer = ada.order(items=[{"sku": "HAT", "quantity": 1}], currency="USD")

    assert answer.status_code == 400
    assert sent(answer)["errors"] == [{"field": "items[0].sku", "detail": "'HAT' is not sold in USD."}]
    assert charges == []


@pytest.mark.parametrize("nonsense", ["", "US", "USDX", 978, None, "X\nZ"])
def test_a_currency_that_is_none_is_a_400(ada, nonsense):
    answer = ada.order(items=[{"sku": "MUG", "quantity": 1}], currency=nonsense)

    assert answer.status_code == 400
    assert [error["field"] for error in sent(answer)["errors"]] == ["currency"]


def test_an_order_tells_its_tax_line_by_line(ada):
    TaxRate.objects.create(country="NL", rate=2100)

    body = sent(ada.order(items=[{"sku": "MUG", "quantity": 2}]))

    assert (body["tax"]["amount"], body["tax_included"]["amount"]) == (0, 417 + 85)
    assert (body["lines"][0]["tax"]["amount"], body["lines"][0]["tax_rate"]) == (417, 2100)
