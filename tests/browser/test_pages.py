"""The shop as people meet it: with a mouse, with keys alone, without scripts, in the dark, on a small screen."""

import base64
import itertools
import os
import re
import signal

import pytest

from tests.browser.faults import faults
from tests.journeys import tables
from tests.rig import until

pytestmark = pytest.mark.browser

ONE_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
BUYERS = itertools.count(1)


def put_in_cart(page, slug="mug-red"):
    page.goto(f"/products/{slug}/")
    page.click("main button:has-text('Add to cart')")
    page.wait_for_url("**/cart/")


def fill_in(page, *, card="pm_card_visa"):
    """The checkout's fields; no card: it is typed in. Returns the e-mail address, a new one each time."""
    email = f"buyer{next(BUYERS)}@example.com"
    page.goto("/checkout/")
    page.fill("#id_email", email)
    page.fill("#id_name", "Ada Buyer")
    page.fill("#id_line1", "Quay 1")
    page.fill("#id_postal_code", "1011")
    page.fill("#id_city", "Hoorn")
    page.select_option("#id_country", "NL")
    if card:
        page.check(f"[value={card}]")
    return email


def buy(page, *, card="pm_card_visa"):
    put_in_cart(page)
    email = fill_in(page, card=card)
    page.click("text=Place order and pay")
    page.wait_for_url("**/orders/**")
    return email


def orders_of(shop, email):
    return shop.get(f"/api/v1/orders/?email={email}").json()["results"]


def charges(shop, email):
    """How often the bank took money for orders under this address."""
    return sum(len(tables.charges(shop, number)) for number in tables.numbers(shop, email))


# -- For everybody --------------------------------------------------------------------------


def walk(page):
    """Every page of the shop in turn, by its name, in the states a visitor meets."""
    for path in ("/", "/?q=anchor", "/products/mug-red/", "/products/socks-mer/", "/cart/", "/nowhere/"):
        page.goto(path)
        yield path
    for path in ("login", "signup", "password/reset"):
        page.goto(f"/accounts/{path}/")
        yield path
    page.click("main button[type=submit]")  # the browser stops an empty form; the page is the same
    put_in_cart(page, "candle-tar")
    page.fill("input[name=quantity]", "9")
    page.keyboard.press("Tab")
    page.wait_for_selector("text=Only")
    yield "a cart that asks for too much"
    page.click("text=Take")
    page.click("text=Go to checkout")
    yield "checkout"
    fill_in(page, card="pm_card_chargeDeclined")
    page.click("text=Place order and pay")
    page.wait_for_selector("[role=alert]")
    yield "checkout, declined"
    page.goto("/cart/")
    page.click("text=Remove")
    page.wait_for_selector("text=Your cart is empty.")
    buy(page, card="pm_bank_error_after_charge")
    yield "order, checking"
    page.wait_for_selector("text=Thank you. It is paid", timeout=60_000)
    page.wait_for_selector("text=Confirmation e-mail: sent", timeout=60_000)
    yield "order, paid"
    page.click("text=Receipt to print")
    yield "receipt"
    page.goto("/mailbox/")
    yield "mailbox"
    page.goto("/newsletter/")
    yield "newsletter"
    page.fill("#id_email", "reader@example.com")
    page.click("main button[type=submit]")
    yield "newsletter, asked"


def walk_account(page, who):
    page.goto("/accounts/login/?next=/accounts/webhooks/")
    page.fill("input[name=login]", who["email"])
    page.fill("input[name=password]", who["password"])
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/accounts/webhooks/")
    yield "webhooks"
    page.click("button:has-text('Add it')")
    yield "webhooks, refused"
    page.fill("#id_url", "https://hooks.example/waybill")
    page.check("input[value='order.placed']")
    page.click("button:has-text('Add it')")
    page.click("text=I have kept it")
    yield "webhooks, one"
    page.click("button:has-text('Send a test')")
    page.wait_for_selector(".call")
    yield "a webhook"
    page.goto("/uploads/")
    yield "uploads, none"
    drawn = base64.b64decode(ONE_PIXEL)
    for name in ("cat.png", "cat.exe"):
        page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": drawn})
        page.click("button:has-text('Upload')")
    page.wait_for_selector(".upload.is-refused")
    page.wait_for_selector("text=Copy link", timeout=60_000)
    page.click("text=sizes and formats")
    yield "uploads, one and a refusal"
    page.goto("/accounts/export/")
    yield "export"
    page.click("text=Make a copy")
    page.wait_for_selector("text=Download it", timeout=60_000)
    yield "export, ready"
    page.click("text=Download it")
    yield "who are you"
    page.goto("/accounts/delete/")
    page.fill("input[name=password]", who["password"])
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/accounts/delete/")
    yield "delete, for staff"


def walk_away(page, shop, email):
    page.goto("/accounts/signup/?next=/accounts/delete/")
    page.fill("input[name=email]", email)
    page.fill("input[name=password1]", "correct horse battery")
    page.press("input[name=password1]", "Enter")
    page.wait_for_url("**/confirm-email/**")
    page.fill("input[name=code]", shop.code_for(email))
    page.press("input[name=code]", "Enter")
    page.wait_for_url("**/accounts/reauthenticate/**")
    page.fill("input[name=password]", "correct horse battery")
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/accounts/delete/")
    yield "delete"
    page.eval_on_selector("input[name=sure]", "box => box.required = false")
    page.click("main form button")
    yield "delete, unsure"
    page.check("input[name=sure]")
    page.click("main form button")
    page.wait_for_url("**/accounts/deleted/")
    yield "deleted"


def test_no_page_shuts_anybody_out(visit):
    page = visit(bypass_csp=True, reduced_motion="reduce")

    assert [fault for name in walk(page) for fault in faults(page, name)] == []


def test_no_page_of_an_account_shuts_anybody_out(visit, shop):
    page = visit(bypass_csp=True, reduced_motion="reduce")

    assert [fault for name in walk_account(page, shop.facts["staff"]) for fault in faults(page, name)] == []


def test_no_page_on_the_way_out_shuts_anybody_out(visit, shop):
    page = visit(bypass_csp=True, reduced_motion="reduce")

    assert [fault for name in walk_away(page, shop, "leaves@example.com") for fault in faults(page, name)] == []


# -- Buying ---------------------------------------------------------------------------------


def tab_to(page, selector):
    """Press Tab until the focus is there, as somebody without a mouse does."""
    for _ in range(80):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab never came to {selector} on {page.url}")


def write(page, selector, words):
    tab_to(page, selector)
    page.keyboard.type(words)


def test_keys_alone_can_buy(visit, shop):
    page = visit()
    page.goto("/")

    tab_to(page, "a[href='/products/mug-red/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/products/**")
    tab_to(page, "main button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cart/")
    tab_to(page, "#more-MUG-RED")
    page.keyboard.press("Space")
    page.wait_for_selector("text=€29.80")
    tab_to(page, "a[href='/checkout/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/checkout/")
    write(page, "#id_email", "keys@example.com")
    write(page, "#id_name", "Ada Buyer")
    write(page, "#id_line1", "Quay 1")
    write(page, "#id_postal_code", "1011")
    write(page, "#id_city", "Hoorn")
    write(page, "#id_country", "Netherl")
    tab_to(page, "[name=shipping_method]")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("[name=expected_total][value='3970']", state="attached")
    tab_to(page, "form.checkout button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/orders/**")

    assert [order["status"] for order in orders_of(shop, "keys@example.com")] == ["paid"]


def test_the_focus_stays_on_a_step_button_and_is_always_to_be_seen(visit):
    page = visit()
    put_in_cart(page)

    tab_to(page, "#more-MUG-RED")
    page.keyboard.press("Space")
    page.wait_for_selector("text=€29.80")

    assert page.evaluate("document.activeElement.id") == "more-MUG-RED"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_without_scripts_the_shop_sells_all_the_same(visit, shop):
    page = visit(java_script_enabled=False)

    put_in_cart(page)
    page.click("#more-MUG-RED")
    page.wait_for_selector("text=€29.80")
    email = fill_in(page)
    page.click("text=Place order and pay")
    page.wait_for_url("**/orders/**")

    # The page reloads itself until nothing moves any more.
    page.wait_for_selector("text=Confirmation e-mail: sent")
    assert [order["payment_status"] for order in orders_of(shop, email)] == ["paid"]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_double_click_is_one_order_and_one_charge(visit, shop, scripts):
    page = visit(java_script_enabled=scripts)
    put_in_cart(page)
    email = fill_in(page, card="pm_bank_slow")

    page.dblclick("text=Place order and pay")
    page.wait_for_url("**/orders/**")

    until(lambda: [order["payment_status"] for order in orders_of(shop, email)] == ["paid"], within=20)
    assert charges(shop, email) == 1


def test_the_button_says_that_it_was_pressed(visit):
    page = visit()
    put_in_cart(page)
    fill_in(page, card="pm_bank_slow")

    press = "button => { button.click(); return [button.textContent, button.ariaDisabled] }"

    assert page.eval_on_selector("form.checkout button[type=submit]", press) == ["Placing order…", "true"]


def test_going_back_and_pressing_again_leads_to_the_same_order(visit, shop):
    page = visit()
    email = buy(page)
    first = page.url

    page.go_back()
    if "/checkout/" in page.url and page.locator("text=Place order and pay").count():
        page.click("text=Place order and pay")
        page.wait_for_url("**/orders/**")
        assert page.url == first

    assert len(orders_of(shop, email)) == 1


def test_a_time_out_at_the_bank_ends_paid_before_the_buyers_eyes(visit, shop):
    page = visit()
    asker = shop.kill("worker", signal.SIGSTOP)  # or it might have asked the bank before the page is read
    try:
        email = buy(page, card="pm_bank_timeout_after_charge")
        assert "We are checking with the bank. You will not be charged twice." in page.inner_text("#news")
    finally:
        os.kill(asker, signal.SIGCONT)
    page.wait_for_selector("#news:has-text('Thank you. It is paid')", timeout=60_000)

    assert "fail" not in page.inner_text("main").lower()
    assert charges(shop, email) == 1


def test_the_order_page_stops_asking_when_all_is_done(visit):
    page = visit()
    buy(page)
    page.wait_for_selector("#progress:not([hx-get])", state="attached", timeout=60_000)
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    page.wait_for_timeout(2500)

    assert asked == []


# -- Comforts -------------------------------------------------------------------------------


def test_colours_change_at_once_and_stay(visit):
    page = visit(color_scheme="light")
    page.goto("/")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(paper)

    page.click("button[value=dark]")
    dark = page.evaluate(paper)
    page.reload()

    assert dark != light
    assert page.evaluate(paper) == dark
    assert re.search(r"data-theme=.dark", page.content())


def test_the_page_says_when_the_server_is_away(visit):
    page = visit()
    put_in_cart(page)

    page.context.set_offline(True)
    page.click("#more-MUG-RED")
    page.wait_for_selector("text=Not connected. Trying again.")
    page.context.set_offline(False)
    page.click("#more-MUG-RED")

    page.wait_for_selector("#offline", state="hidden")
