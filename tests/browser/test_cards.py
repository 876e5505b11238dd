"""A card is typed into Stripe's frame. Stripe is played, at its own addresses, under our own content policy."""

import pytest

from tests.browser.faults import faults
from tests.browser.test_pages import charges, fill_in, put_in_cart
from tests.rig import Shop

pytestmark = pytest.mark.browser

NUMBER = "4242424242424242"
# As js.stripe.com does: the number stays in a frame of theirs, and api.stripe.com gives it a name.
STRIPE = """
window.Stripe = key => ({
  elements: () => ({create: () => {
    const on = {};
    return {
      on: (name, heard) => on[name] = heard,
      mount: place => {
        const frame = document.createElement("iframe");
        frame.src = "https://js.stripe.com/v3/frame.html";
        frame.style.width = "100%";
        frame.title = "Secure card payment input frame";
        place.append(frame);
        addEventListener("message", () => on.change({}));
      },
    };
  }}),
  createPaymentMethod: () => fetch("https://api.stripe.com/v1/payment_methods?key=" + key).then(said => said.json()),
});
"""
FRAME = """<!doctype html><html lang="en"><title>Card</title><main><label>Card number <input></label></main>
<script>document.querySelector("input").oninput = () => parent.postMessage("changed", "*")</script></html>"""
OPEN_TO_ALL = {"Access-Control-Allow-Origin": "*"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """It cannot charge cards elsewhere than at its bank: only the field is Stripe's."""
    with Shop(tmp_path_factory.mktemp("cards"), env={"STRIPE_PUBLISHABLE_KEY": "pk_test_nobody"}) as running:
        yield running


@pytest.fixture
def stripe(visit):
    """`stripe(says=…)`: a visitor's page where Stripe answers so for every card, and what was posted to the shop."""

    def open_page(says, **options):
        page, posted = visit(**options), []
        page.route(
            "https://js.stripe.com/v3/", lambda route: route.fulfill(body=STRIPE, content_type="text/javascript")
        )
        page.route("**/v3/frame.html", lambda route: route.fulfill(body=FRAME, content_type="text/html"))
        page.route("https://api.stripe.com/**", lambda route: route.fulfill(json=says, headers=OPEN_TO_ALL))
        page.on("request", lambda asked: posted.append(asked.post_data) if asked.method == "POST" else None)
        return page, posted

    return open_page


def fill(page):
    put_in_cart(page)
    email = fill_in(page, card=None)
    page.frame_locator(".card-frame iframe").locator("input").fill(NUMBER)
    return email


def test_the_shop_gets_the_cards_name_and_never_its_number(shop, stripe):
    page, posted = stripe({"paymentMethod": {"id": "pm_card_visa"}})
    email = fill(page)

    page.dblclick("text=Place order and pay")
    page.wait_for_url("**/orders/**")

    assert charges(shop, email) == 1
    assert "payment_method=pm_card_visa" in posted[-1]
    assert NUMBER not in "".join(posted) + page.content()


def test_what_stripe_says_of_a_card_is_shown_and_another_can_be_typed(stripe):
    page, posted = stripe({"error": {"message": "Your card number is incomplete."}})
    fill(page)
    before = len(posted)

    page.click("text=Place order and pay")
    page.wait_for_selector("text=Your card number is incomplete.")

    assert len(posted) == before
    assert page.is_enabled("text=Place order and pay")


def test_where_stripe_does_not_load_the_page_says_so_and_takes_no_order(visit):
    page = visit()
    page.route("https://js.stripe.com/**", lambda route: route.abort())
    put_in_cart(page)

    page.goto("/checkout/")
    page.wait_for_selector("text=The card form could not be loaded.")

    assert page.is_disabled("text=Place order and pay")


def test_without_scripts_the_page_says_that_cards_need_them(visit):
    page = visit(java_script_enabled=False)
    put_in_cart(page)

    page.goto("/checkout/")

    assert "Cards need JavaScript" in page.inner_text("#id_payment_method")
    assert page.is_disabled("text=Place order and pay")


def test_the_card_field_shuts_nobody_out(stripe):
    page, _ = stripe({}, bypass_csp=True)
    put_in_cart(page)
    page.goto("/checkout/")
    page.frame_locator(".card-frame iframe").locator("input").wait_for()

    assert list(faults(page, "checkout")) == []
