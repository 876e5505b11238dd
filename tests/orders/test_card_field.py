"""The card field of Stripe's on the checkout page: there with a publishable key, and there alone."""

import re

import pytest

from tests.orders.test_pages import bank, fill_cart, filled_in, product

__all__ = ["bank"]
pytestmark = pytest.mark.django_db
KEY = "pk_live_nobody"


@pytest.fixture
def live(settings):
    settings.STRIPE_PUBLISHABLE_KEY = KEY


@pytest.fixture
def cart(client):
    product()
    fill_cart(client)


def policy(answer):
    pairs = (part.strip().partition(" ") for part in answer["Content-Security-Policy"].split(";"))
    return {name: set(sources.split()) for name, _, sources in pairs}


def test_the_page_loads_stripes_field_with_our_key(client, live, cart):
    page = client.get("/checkout/").content.decode()

    assert '<script src="https://js.stripe.com/v3/" defer></script>' in page
    assert f'data-card-key="{KEY}"' in page
    assert "Cards need JavaScript" in page
    assert re.search(r'<button type="submit" disabled>Place order', page)  # until the script has its field
    assert "A test card" not in page


def test_its_policy_lets_stripe_in(client, live, cart):
    allowed = policy(client.get("/checkout/"))

    assert "https://js.stripe.com" in allowed["script-src"]
    assert allowed["frame-src"] >= {"'self'", "https://js.stripe.com", "https://hooks.stripe.com"}
    assert allowed["connect-src"] == {"'self'", "https://api.stripe.com"}


@pytest.mark.parametrize("path", ["/", "/cart/", "/products/mug/", "/accounts/login/", "/checkout/summary/"])
def test_no_other_page_does(client, live, cart, path):
    answer = client.get(path)

    assert answer.status_code == 200
    assert "stripe" not in answer["Content-Security-Policy"] + answer.content.decode()


def test_without_a_key_nothing_of_stripe_is_on_the_page(client, cart):
    answer = client.get("/checkout/")

    assert "stripe.com" not in answer["Content-Security-Policy"] + answer.content.decode()


def test_the_name_that_stripe_gave_the_card_is_charged(client, live, cart, bank):
    answer = client.post("/checkout/", filled_in(client, payment_method="pm_1QaYbIllAbCd"))

    assert answer.status_code == 303
    assert [charge.payment_method for charge in bank.charges] == ["pm_1QaYbIllAbCd"]


@pytest.mark.parametrize("typed", ["4242424242424242", "4242 4242 4242 4242", "tok_visa", "", "pm_x'--"])
def test_what_is_no_name_of_a_card_is_refused_and_not_shown_again(client, live, cart, bank, typed):
    answer = client.post("/checkout/", filled_in(client, payment_method=typed))

    page = answer.content.decode()
    assert (answer.status_code, bank.charges) == (422, [])
    assert "The card was not taken in. Type it in again." in page
    assert '<input type="hidden" name="payment_method" value="">' in page
    assert not typed or typed not in page


def test_where_cards_are_typed_in_after_a_refusal_the_policy_still_lets_stripe_in(client, live, cart, bank):
    bank("declined", code="card_declined", message="Your card was declined.")

    answer = client.post("/checkout/", filled_in(client, payment_method="pm_1QaYbIllAbCd"))

    assert answer.status_code == 402
    assert "https://js.stripe.com" in policy(answer)["script-src"]
