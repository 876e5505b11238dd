"""The shop's pages as Django answers them; the bank is the only thing that is played."""

import re
import uuid
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from notifications.models import Delivery, Event
from orders import inventory, links
from orders.gateways import stripe
from orders.gateways.base import Outcome, Status
from orders.models import Order, PaymentAttempt, Product

pytestmark = pytest.mark.django_db


def product(sku="MUG", *, units=10, **facts):
    made = Product.objects.create(
        **{"sku": sku, "slug": sku.lower(), "name": f"A {sku.lower()}", "price": 1200, **facts}
    )
    inventory.set_on_hand(product=made, on_hand=units, note="test")
    return made


@pytest.fixture
def bank(monkeypatch):
    """`bank(Status.DECLINED, message=…)` is what it says next, yes until then; `.charges` is what it was asked."""

    def say(status, **more):
        def charge(request):
            say.charges.append(request)
            money = {"amount": request.amount, "currency": request.currency} if status == Status.SUCCEEDED else {}
            return Outcome(
                **{
                    "status": status,
                    "gateway_id": f"pi_{uuid.uuid4()}",
                    "amount": None,
                    "currency": None,
                    **money,
                    **more,
                }
            )

        monkeypatch.setattr("orders.gateways.stripe.charge", charge)

    say.charges = []
    say(Status.SUCCEEDED)
    return say


def fill_cart(client, sku="MUG", quantity=1):
    return client.post("/cart/add/", {"sku": sku, "quantity": quantity})


def filled_in(client, **other):
    """The form as the checkout page renders it, filled in by a buyer."""
    page = client.get("/checkout/").content.decode()
    names = ("key", "expected_total", "expected_cart")
    hidden = {name: re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in names}
    return {
        **hidden,
        "email": "ada@example.com",
        "name": "Ada Buyer",
        "line1": "Quay 1",
        "postal_code": "1011",
        "city": "Hoorn",
        "country": "NL",
        "shipping_method": "standard",
        "payment_method": "pm_card_visa",
        **other,
    }


def an_order(client, **other):
    product()
    fill_cart(client)
    client.post("/checkout/", filled_in(client, **other))
    return Order.objects.get()


def page_of(order):
    return f"/orders/{order.number}/"


# -- The shelves ----------------------------------------------------------------------------


def test_the_catalogue_says_what_is_left(client):
    product("MANY", units=10)
    product("FEW", units=3)
    product("NONE", units=0)

    page = client.get("/").content.decode()

    assert re.findall(r'class="stock[^"]*">([^<]+)<', page) == ["3 left", "in stock", "sold out"]


def test_the_catalogue_shows_prices_as_money(client):
    product(price=1250)

    assert "€12.50" in client.get("/").content.decode()


def test_a_search_finds_by_name_and_says_when_it_finds_nothing(client):
    product("MUG")
    product("HAT")

    found = client.get("/?q=mug").content.decode()
    nothing = client.get("/?q=anchor").content.decode()

    assert ("/products/mug/" in found, "/products/hat/" in found) == (True, False)
    assert "Nothing here goes by that name" in nothing


def test_the_catalogue_asks_the_database_three_times(client, django_assert_num_queries):
    for number in range(5):
        product(f"P{number}")

    with django_assert_num_queries(3):  # the products with their prices; the currencies to choose from
        client.get("/")


def test_a_product_that_was_withdrawn_has_no_page(client):
    product("OLD", is_active=False)

    assert client.get("/products/old/").status_code == 404


def test_an_empty_shelf_tells_staff_alone_how_to_fill_it(client, admin_client):
    assert "manage.py demo" not in client.get("/").content.decode()
    assert "manage.py demo" in admin_client.get("/").content.decode()


# -- The cart -------------------------------------------------------------------------------


def test_the_cart_adds_up_and_its_count_is_in_the_header(client):
    product("MUG", price=1200)
    product("HAT", price=500)

    fill_cart(client, "MUG", 2)
    fill_cart(client, "HAT", 1)
    page = client.get("/cart/").content.decode()

    assert "€29.00" in page
    assert re.search(r'class="count">3<', page)


def test_a_step_button_takes_one_more_or_less(client):
    product()
    fill_cart(client, quantity=2)

    client.post("/cart/change/", {"sku": "MUG", "quantity": 2, "step": 1})
    client.post("/cart/change/", {"sku": "MUG", "quantity": 3, "step": 1})

    assert client.session["cart"] == {"MUG": 4}


def test_a_quantity_stays_within_one_to_ninety_nine(client):
    product(units=500)

    fill_cart(client, quantity=-5)
    one = dict(client.session["cart"])
    answer = client.post("/cart/change/", {"sku": "MUG", "quantity": 500}, follow=True)

    assert one == {"MUG": 1}
    assert client.session["cart"] == {"MUG": 99}
    assert "99 of A mug is the most one order takes." in answer.content.decode()


@pytest.mark.parametrize("nonsense", ["", "many", "1e9", "٣x"])
def test_a_quantity_that_is_no_number_is_one(client, nonsense):
    product()

    fill_cart(client, quantity=nonsense)

    assert client.session["cart"] == {"MUG": 1}


def test_removing_the_last_thing_leaves_an_empty_cart(client):
    product()
    fill_cart(client)

    page = client.post("/cart/change/", {"sku": "MUG", "quantity": 1, "instead": 0}, follow=True).content.decode()

    assert "Your cart is empty." in page


def test_a_cart_that_asks_for_more_than_is_left_says_so_and_does_not_lead_to_the_checkout(client):
    product(units=2)

    fill_cart(client, quantity=3)
    page = client.get("/cart/").content.decode()

    assert "Only 2 left." in page
    assert "Go to checkout" not in page


def test_with_htmx_a_change_answers_with_the_cart_alone(client):
    product()
    fill_cart(client)

    answer = client.post("/cart/change/", {"sku": "MUG", "quantity": 2}, headers={"HX-Request": "true"})

    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith('<div id="cart"')


# -- The checkout ---------------------------------------------------------------------------


def test_an_order_is_paid_and_the_buyer_is_sent_to_its_signed_link(client, bank):
    product(units=10)
    fill_cart(client, quantity=3)

    answer = client.post("/checkout/", filled_in(client))
    order = Order.objects.get()

    assert answer.status_code == 303
    assert answer["Location"] == links.guest_path(order)
    assert (order.status, order.total, order.email) == ("paid", 3 * 1200 + 490, "ada@example.com")
    assert Product.objects.get().stock.available == 7
    assert not client.session["cart"]


def test_the_checkout_of_an_empty_cart_is_the_cart(client):
    assert client.get("/checkout/")["Location"] == "/cart/"
    assert client.post("/checkout/", {})["Location"] == "/cart/"


def test_a_missing_address_is_named_beside_its_field_and_nothing_is_charged(client, bank):
    product()
    fill_cart(client)

    answer = client.post("/checkout/", filled_in(client, line1="", country=""))
    page = answer.content.decode()

    assert answer.status_code == 422
    assert re.findall(r'href="#(id_\w+)"', page) == ["id_line1", "id_country"]
    assert 'value="Ada Buyer"' in page
    assert bank.charges == []


def test_a_declined_card_is_told_at_the_card_and_everything_typed_stays(client, bank):
    product()
    fill_cart(client)
    form = filled_in(client)
    bank(Status.DECLINED, code="insufficient_funds", message="There is not enough money on it.")

    answer = client.post("/checkout/", form)
    page = answer.content.decode()

    assert answer.status_code == 402
    assert page.count("There is not enough money on it.") == 2  # above, and at the card
    assert 'value="Ada Buyer"' in page
    assert form["key"] not in page
    assert client.session["cart"] == {"MUG": 1}
    assert Product.objects.get().stock.available == 10


def test_after_a_decline_another_card_buys_the_same_cart(client, bank):
    product()
    fill_cart(client)
    bank(Status.DECLINED)
    client.post("/checkout/", filled_in(client))
    bank(Status.SUCCEEDED)

    client.post("/checkout/", filled_in(client))

    assert sorted(Order.objects.values_list("status", flat=True)) == ["declined", "paid"]


def test_what_somebody_else_bought_meanwhile_is_named_and_nothing_is_charged(client, bank):
    mug = product(units=5)
    fill_cart(client, quantity=3)
    form = filled_in(client)
    inventory.set_on_hand(product=mug, on_hand=2, note="test")

    answer = client.post("/checkout/", form)

    assert answer.status_code == 409
    assert "A mug: only 2 left." in answer.content.decode()
    assert (bank.charges, Order.objects.count()) == ([], 0)


def test_a_price_that_changed_is_shown_and_not_charged(client, bank):
    mug = product(price=1200)
    fill_cart(client)
    form = filled_in(client)
    Product.objects.filter(pk=mug.pk).update(price=1500)

    answer = client.post("/checkout/", form)

    assert answer.status_code == 409
    assert "The total is now €19.90" in answer.content.decode()
    assert bank.charges == []


def test_another_way_of_delivery_than_the_page_showed_is_not_charged_unseen(client, bank):
    product()
    fill_cart(client)

    answer = client.post("/checkout/", filled_in(client, shipping_method="express"))

    assert answer.status_code == 409
    assert bank.charges == []


def test_the_summary_follows_the_way_of_delivery(client):
    product(price=1200)
    fill_cart(client)

    page = client.get("/checkout/summary/?shipping_method=express").content.decode()

    assert 'name="expected_total" value="2190"' in page


def test_sending_the_same_form_again_leads_to_the_same_order(client, bank):
    product()
    fill_cart(client)
    form = filled_in(client)

    first = client.post("/checkout/", form)
    again = client.post("/checkout/", form)

    assert again["Location"] == first["Location"]
    assert (Order.objects.count(), len(bank.charges)) == (1, 1)


def test_another_visitor_with_the_same_form_is_not_shown_the_order(client, bank):
    product()
    fill_cart(client)
    form = filled_in(client)
    mine = client.post("/checkout/", form)["Location"]

    stranger = Client()
    assert stranger.post("/checkout/", form)["Location"] == "/cart/"
    fill_cart(stranger)
    theirs = stranger.post("/checkout/", form)["Location"]

    assert (theirs != mine, Order.objects.count(), len(bank.charges)) == (True, 2, 2)


def test_a_form_sent_again_after_signing_in_leads_to_the_same_order(client, bank):
    product()
    fill_cart(client)
    form = filled_in(client)
    first = client.post("/checkout/", form)

    client.force_login(User.objects.create(email="ada@example.com"))

    assert client.post("/checkout/", form)["Location"] == first["Location"]
    assert Order.objects.count() == 1


def test_two_tabs_of_one_cart_make_one_order(client, bank):
    product()
    fill_cart(client)
    one, other = filled_in(client), filled_in(client)
    cart = dict(client.session.items())

    first = client.post("/checkout/", one)
    session = client.session  # as the other tab's request had read it, before the first one's end
    session.update(cart)
    session.save()
    second = client.post("/checkout/", other)

    assert one["key"] != other["key"]
    assert second["Location"] == first["Location"]
    assert len(bank.charges) == 1


def test_another_cart_at_the_same_total_is_shown_before_it_is_bought(client, bank):
    product()
    product(sku="OTHER", slug="other")
    fill_cart(client)
    form = filled_in(client)
    client.post("/cart/change/", {"sku": "MUG", "instead": "0"})
    fill_cart(client, "OTHER")

    answer = client.post("/checkout/", form)

    assert answer.status_code == 409
    assert bank.charges == []


def test_what_another_tab_adds_during_the_payment_stays_in_the_cart(client, bank, monkeypatch):
    product()
    product(sku="OTHER", slug="other")
    fill_cart(client)
    form = filled_in(client)
    charge = stripe.charge

    def slow_charge(request):
        fill_cart(client, "OTHER")
        return charge(request)

    monkeypatch.setattr("orders.gateways.stripe.charge", slow_charge)
    client.post("/checkout/", form)

    assert client.session["cart"] == {"OTHER": 1}


def test_a_forged_packing_list_in_a_name_is_refused(client, bank):
    product()
    fill_cart(client)

    answer = client.post("/checkout/", filled_in(client, name="Foe\n\n  [ ] 9 × Brass pen"))

    assert answer.status_code == 422
    assert "line breaks" in answer.content.decode()
    assert bank.charges == []


def test_a_form_that_was_sent_before_with_other_words_is_looked_over_again(client, bank):
    product()
    fill_cart(client)
    form = filled_in(client)
    client.post("/checkout/", form)
    fill_cart(client)

    answer = client.post("/checkout/", form | {"name": "Someone Else"})

    assert answer.status_code == 422
    assert len(bank.charges) == 1


def test_an_unknown_outcome_is_never_called_a_failure(client, bank):
    bank(Status.UNKNOWN)
    order = an_order(client)

    page = client.get(links.guest_path(order)).content.decode()

    assert "We are checking with the bank. You will not be charged twice." in page
    assert "fail" not in page.lower()
    assert "declined" not in page.lower()


def test_a_live_key_offers_no_test_cards(client, settings):
    settings.STRIPE_SECRET_KEY = "sk_live_x"
    product()
    fill_cart(client)

    assert "pm_card_visa" not in client.get("/checkout/").content.decode()


# -- Who may open an order ------------------------------------------------------------------


def test_a_stranger_finds_no_order(client, bank):
    order = an_order(client)

    assert client.get(page_of(order)).status_code == 404
    assert client.get(page_of(order) + "progress/").status_code == 404
    assert client.get(page_of(order) + "receipt/").status_code == 404


def test_the_signed_link_opens_this_order_and_no_other(client, bank):
    order = an_order(client)
    key = links.guest_path(order).partition("=")[2]
    other = Order.objects.get(pk=order.pk)
    other.pk, other.number, other.cart_token, other.serial = None, "WB-00000000", None, 2
    other.save()

    assert client.get(links.guest_path(order)).status_code == 200
    assert client.get(f"{page_of(other)}?key={key}").status_code == 404


@pytest.mark.parametrize("key", ["", "x", ":", "a:b", "é"])
def test_a_wrong_key_opens_nothing(client, bank, key):
    assert client.get(page_of(an_order(client)), {"key": key}).status_code == 404


def test_the_buyer_who_was_signed_in_needs_no_key(client, bank):
    client.force_login(User.objects.create_user(email="ada@example.com"))
    order = an_order(client)

    assert client.get(page_of(order)).status_code == 200
    client.force_login(User.objects.create_user(email="eve@example.com"))
    assert client.get(page_of(order)).status_code == 404


def test_staff_may_open_every_order(client, admin_client, bank):
    assert admin_client.get(page_of(an_order(client))).status_code == 200


def test_the_link_for_mails_is_absolute(client, settings, bank):
    settings.SITE_URL = "https://shop.example"
    order = an_order(client)

    link = links.guest_link(order)

    assert link == f"https://shop.example{links.guest_path(order)}"
    assert client.get(f"{urlsplit(link).path}?{urlsplit(link).query}").status_code == 200


def test_an_order_page_is_kept_by_no_cache_and_no_search_engine(client, bank):
    answer = client.get(links.guest_path(an_order(client)))

    assert "no-store" in answer["Cache-Control"]
    assert 'name="robots" content="noindex"' in answer.content.decode()


# -- The moving part ------------------------------------------------------------------------


def poll(client, page):
    path = re.search(r'hx-get="([^"]+progress[^"]+)"', page)[1].replace("&amp;", "&")
    return client.get(path, headers={"HX-Request": "true"})


def test_a_look_that_finds_nothing_new_is_answered_with_nothing(client, bank):
    page = client.get(links.guest_path(an_order(client))).content.decode()

    assert poll(client, page).status_code == 204


def test_a_look_costs_four_queries(client, bank, django_assert_num_queries):
    page = client.get(links.guest_path(an_order(client))).content.decode()

    # The order, its attempts and its side effects; and the session, because the log line names the user.
    with django_assert_num_queries(4):
        poll(client, page)


def test_a_look_after_a_change_brings_the_new_words(client, bank):
    bank(Status.UNKNOWN)
    order = an_order(client)
    page = client.get(links.guest_path(order)).content.decode()
    PaymentAttempt.objects.update(state="succeeded", finished_at=timezone.now())
    Order.objects.update(status="paid", paid_at=timezone.now())

    answer = poll(client, page)

    assert answer.status_code == 200
    assert "Thank you. It is paid" in answer.content.decode()


def test_when_everything_is_done_the_page_stops_asking(client, bank):
    order = an_order(client)
    page = client.get(links.guest_path(order)).content.decode()
    Delivery.objects.exclude(event__name="order.placed").update(state="done", finished_at=timezone.now())

    answer = poll(client, page)

    assert answer.status_code == 286
    assert "hx-trigger" not in answer.content.decode()


def test_the_page_asks_every_second_at_first_and_every_five_later(client, bank):
    order = an_order(client)
    key = links.guest_path(order).partition("=")[2]
    half_a_minute_ago = int((timezone.now() - timedelta(seconds=31)).timestamp())

    fresh = client.get(links.guest_path(order)).content.decode()
    later = client.get(f"{page_of(order)}progress/", {"key": key, "since": half_a_minute_ago}).content.decode()

    assert 'hx-trigger="every 1s"' in fresh
    assert 'hx-trigger="every 5s"' in later


def test_without_scripts_a_moving_order_reloads_itself(client, bank):
    order = an_order(client)
    moving = client.get(links.guest_path(order)).content.decode()
    Delivery.objects.exclude(event__name="order.placed").update(state="done", finished_at=timezone.now())
    settled = client.get(links.guest_path(order)).content.decode()

    assert ('http-equiv="refresh"' in moving, 'http-equiv="refresh"' in settled) == (True, False)


def test_a_letter_that_must_be_tried_again_is_told_with_its_next_try(client, bank):
    order = an_order(client)
    event = Event.objects.get(name="payment.received")
    letter = Event.objects.create(
        name="email.queued",
        version=1,
        subject=event.subject,
        payload={"template": "orders/confirmation"},
        correlation_id=event.correlation_id,
        actor="",
    )
    at = timezone.now().replace(hour=14, minute=3)
    Delivery.objects.create(
        event=letter,
        handler="notifications.send_letter",
        queue="mail",
        state="ready",
        attempt=1,
        max_attempts=10,
        available_at=at,
        last_error="ConnectionRefusedError",
    )

    page = client.get(links.guest_path(order)).content.decode()

    assert "Confirmation e-mail is on its way (try 2 of 10, next at 14:03)" in page


def test_staff_read_on_the_shops_own_pages_that_nobody_does_the_work(client, admin_client):
    assert 'class="staff-warnings' in admin_client.get("/").content.decode()
    assert 'class="staff-warnings' not in client.get("/").content.decode()


# -- Colours, receipt, missing pages ----------------------------------------------------------


def test_the_chosen_colours_are_written_by_the_server(client):
    answer = client.post("/theme/", {"theme": "dark", "next": "/cart/"})

    assert answer["Location"] == "/cart/"
    assert 'data-theme="dark"' in client.get("/").content.decode()


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_the_colour_switch_leads_nowhere_else(client, elsewhere):
    assert client.post("/theme/", {"theme": "dark", "next": elsewhere})["Location"] == "/"


def test_the_receipt_has_the_number_the_sums_and_the_address(client, bank):
    order = an_order(client)
    key = links.guest_path(order).partition("?")[2]

    page = client.get(f"{page_of(order)}receipt/?{key}").content.decode()

    assert [words in page for words in (order.number, "€16.90", "Quay 1", "Netherlands")] == [True] * 4


def test_a_page_that_is_not_there_says_so_in_our_words(client):
    answer = client.get("/nowhere/")

    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"])
def test_the_account_pages_wear_the_shops_clothes(client, path):
    page = client.get(path).content.decode()

    assert 'class="wordmark"' in page
    assert page.count("<h1>") == 1


def test_no_page_holds_an_inline_style_or_script(client, bank):
    order = an_order(client)
    fill_cart(client)
    paths = [
        "/",
        "/products/mug/",
        "/cart/",
        "/checkout/",
        links.guest_path(order),
        "/accounts/login/",
        "/accounts/signup/",
    ]

    for path in paths:
        page = client.get(path).content.decode()
        assert re.findall(r"\sstyle=|<style|\son\w+=|<script(?![^>]*src=)", page) == [], path
