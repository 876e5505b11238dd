"""Money and goods as people move them: approving at the bank, cancelling, and staff's buttons."""

import itertools
import re

import pytest

from tests.browser.faults import faults, faults_of_staff_page
from tests.browser.test_admin import staff  # noqa: F401  a fixture
from tests.browser.test_pages import buy, orders_of, put_in_cart
from tests.rig import until

pytestmark = pytest.mark.browser

ASKS = "pm_card_authenticationRequired"
MAILS = itertools.count(1)

# As if the buyer had left the bank's question alone for as long as it may be asked.
LATE = """
from datetime import timedelta
from orders.models import PaymentAttempt
from orders.recovery import TIME_TO_APPROVE, ask_gateway
row = PaymentAttempt.objects.get(order__number="NUMBER")
PaymentAttempt.objects.filter(pk=row.pk).update(started_at=row.started_at - TIME_TO_APPROVE - timedelta(minutes=1))
ask_gateway(attempt_id=row.pk)
"""

# A refund that our books call done; the note says that the bank's do not.
DIFFERENCE = """
from orders.models import Difference, Order
from orders.refunds import refund
order = Order.objects.get(number="NUMBER")
made = refund(order=order, amount=300, reason="a crack")[0]
Difference.objects.create(
    kind="missing_refund", reference=str(made.pk), order=order, amount=300, currency="EUR", detail="Not in their list."
)
"""


def number_of(page):
    return re.search(r"WB-[0-9A-Z]{8}", page.url)[0]


def run(shop, program, number):
    done = shop.manage("shell", "-c", program.replace("NUMBER", number))
    assert done.returncode == 0, done.stderr


def at_bank(shop, **wanted):
    return [entry for entry in shop.ledger() if wanted.items() <= entry.items()]


@pytest.fixture
def number(shop):
    """The number of a paid order."""
    return shop.order(email=f"paid{next(MAILS)}@example.com").json()["number"]


@pytest.fixture
def opened(staff, number):  # noqa: F811
    """`opened(java_script_enabled=False)`: the order's page for staff, and its address without `change/`."""

    def open_page(**options):
        page = staff(**options)
        page.goto(f"/admin/orders/order/?q={number}")
        page.click(f"#result_list a:has-text('{number}')")
        return page, page.url.partition("change/")[0]

    return open_page


# -- The buyer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_payment_is_approved_on_the_banks_page_and_the_order_is_paid(visit, scripts):
    page = visit(java_script_enabled=scripts)
    buy(page, card=ASKS)
    assert "Your bank wants you to approve this payment." in page.inner_text("#news")
    page.click("#approve")
    page.click("button[value=approve]")
    page.wait_for_url("**/orders/**")
    page.wait_for_selector("text=Thank you. It is paid", timeout=60_000)
    assert page.locator("#approve").count() == 0


def test_a_payment_that_the_buyer_refuses_charges_nothing(visit, shop):
    page = visit()
    email, before = buy(page, card=ASKS), len(at_bank(shop, kind="charge", status="succeeded"))
    page.click("#approve")
    page.click("button[value=refuse]")
    page.wait_for_url("**/orders/**")
    page.wait_for_selector("#news:has-text('Nothing was charged.')", timeout=60_000)
    assert orders_of(shop, email)[0]["status"] == "declined"
    assert len(at_bank(shop, kind="charge", status="succeeded")) == before


def test_a_question_that_nobody_answers_is_withdrawn_and_the_things_are_free(visit, shop):
    page = visit()
    left = shop.stock("MUG-RED")
    buy(page, card=ASKS)
    assert shop.stock("MUG-RED") == left - 1
    put_in_cart(page, "cap-wool")
    assert "are held for you until" in page.inner_text(".held")
    page.click("text=Finish paying")
    page.wait_for_url("**/orders/**")
    run(shop, LATE, number_of(page))
    page.wait_for_selector("#news:has-text('was not completed in time')", timeout=60_000)
    assert shop.stock("MUG-RED") == left
    page.goto("/cart/")
    assert page.locator(".held").count() == 0


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_buyer_cancels_and_sees_the_money_come_back(visit, shop, scripts):
    page = visit(java_script_enabled=scripts)
    email, before = buy(page), len(at_bank(shop, kind="refund"))
    page.click("#cancel")
    assert "goes back to the card you paid with" in page.inner_text("main")
    page.dblclick("button:has-text('Cancel the order')")
    page.wait_for_selector("#news:has-text('This order is cancelled.')")
    page.wait_for_selector("#news:has-text('€19.80 has been given back')", timeout=60_000)
    assert [order["status"] for order in orders_of(shop, email)] == ["cancelled"]
    assert len(at_bank(shop, kind="refund")) == before + 1


def test_a_wrong_amount_is_never_called_a_failure(visit):
    page = visit()
    buy(page, card="pm_bank_wrong_amount")
    page.wait_for_selector("#news:has-text('has been given back')", timeout=60_000)
    assert "fail" not in page.inner_text("main").lower()


def test_no_page_of_a_buyers_money_shuts_anybody_out(visit):
    page = visit(bypass_csp=True, reduced_motion="reduce")
    found = []
    buy(page, card=ASKS)
    found += faults(page, "to approve")
    page.click("#cancel")
    found += faults(page, "cancel?")
    page.click("button:has-text('Cancel the order')")
    page.wait_for_selector("#news:has-text('This order is cancelled.')")
    found += faults(page, "cancelled")
    assert found == []


# -- Staff --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_double_click_on_refund_gives_the_money_back_once(opened, shop, scripts):
    page, _ = opened(java_script_enabled=scripts)
    before = len(at_bank(shop, kind="refund"))
    page.click(".wb-buttons a:has-text('Give money back')")
    page.check("[value=amount]")
    page.fill("[name=amount]", "3")
    page.fill("[name=reason]", "a crack")
    page.dblclick("button:has-text('Refund')")
    page.wait_for_selector("#page:has-text('€3.00 given back.')")  # its address is another's for a moment: two presses
    assert page.url.endswith("/change/")
    assert [entry["amount"] for entry in at_bank(shop, kind="refund")[before:]] == [300]


def test_what_is_refused_is_said_beside_the_form_with_everything_typed(opened):
    page, base = opened()
    page.goto(f"{base}refund/")
    page.check("[value=amount]")
    page.fill("[name=amount]", "999")
    page.fill("[name=reason]", "a crack")
    page.click("button:has-text('Refund')")
    assert "Only €19.80 is left to give back." in page.inner_text("[role=alert]")
    assert [page.input_value(f"[name={name}]") for name in ("amount", "reason")] == ["999", "a crack"]


def test_a_parcel_that_staff_ship_is_on_the_buyers_page_and_in_a_letter(opened, shop, number):
    page, base = opened()
    page.goto(f"{base}ship/")
    page.fill("[name=carrier]", "PostNL")
    page.fill("[name=tracking]", "3SABC123")
    page.click("button:has-text('It has left')")
    page.wait_for_url("**/change/")
    page.click("text=What the buyer sees")
    assert "3SABC123" in page.inner_text(".parcel")
    until(lambda: shop.mailbox(about=f"A parcel of your order {number}"), within=30, what="the letter")


def test_a_difference_is_repaired_from_the_page_failures(staff, shop, number):  # noqa: F811
    run(shop, DIFFERENCE, number)
    page = staff()
    page.goto("/admin/notifications/failure/")
    row = page.locator(f".wb-panel li:has-text('{number}')")
    row.locator("button:has-text('Repair')").click()
    page.wait_for_selector("text=Repaired: the refund counts as failed; give it again.")
    assert page.url.endswith("/admin/notifications/failure/")
    assert page.locator(f".wb-panel li:has-text('{number}')").count() == 0


def walk(page, base):
    yield "order"
    for name in ("refund", "ship", "edit", "cancel"):
        page.goto(f"{base}{name}/")
        yield name
    page.goto("/admin/notifications/failure/")
    yield "failures with money"
    for of in ("difference", "gatewayevent"):
        page.goto(f"/admin/orders/{of}/")
        yield f"{of}s"
        page.click("#result_list tbody th a")
        yield of


def test_no_page_of_staffs_money_shuts_anybody_out(opened, shop, number):
    page, base = opened(bypass_csp=True, reduced_motion="reduce")
    run(shop, DIFFERENCE, number)
    assert [fault for name in walk(page, base) for fault in faults_of_staff_page(page, name)] == []
