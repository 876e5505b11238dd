"""The staff pages of a running shop, as somebody woken at night meets them."""

import signal

import pytest

from tests.browser.faults import faults_of_staff_page
from tests.rig import until

pytestmark = pytest.mark.browser

# The confirmation of an order died, as if its mail server had refused it ten times.
BURY = """
from django.utils import timezone
from notifications.models import Attempt, Delivery
from orders.models import Order
subject = f"order:{Order.objects.get(number='NUMBER').pk}"
row = Delivery.objects.get(handler="orders.email_confirmation", event__subject=subject)
try:
    raise OSError("refused")
except OSError:
    import traceback
    text = traceback.format_exc()
Delivery.objects.filter(pk=row.pk).update(
    state="dead", attempt=10, last_error="OSError: refused", finished_at=timezone.now()
)
Attempt.objects.create(delivery=row, n=10, token=row.token + 100, outcome="error", error_class="OSError",
                       message="refused", traceback=text)
print("buried", row.pk)
"""


@pytest.fixture(scope="module")
def order(shop):
    """The number of an order whose confirmation has arrived."""
    number = shop.order(email="night@example.com").json()["number"]
    until(lambda: shop.mailbox(to="night@example.com"), within=30, what="the confirmation")
    return number


@pytest.fixture
def dead(shop, order):
    """The id of the delivery that died."""
    done = shop.manage("shell", "-c", BURY.replace("NUMBER", order))
    assert "buried" in done.stdout, done.stderr
    return int(done.stdout.split("buried ")[1].split()[0])


# One of each thing that the shop's demo has none of. It sends nothing.
ADD = """
from accounts.models import User
from notifications.models import Campaign, Endpoint, Subscriber
Subscriber.objects.create(email="reader@example.com")
Campaign.objects.create(name="spring", subject="Spring, {name}", text="Dear {name}", per_minute=60)
Endpoint.objects.create(owner=User.objects.get(is_superuser=True), url="https://hooks.example/", events=["order.paid"])
print("added")
"""


@pytest.fixture(scope="module")
def others(shop):
    done = shop.manage("shell", "-c", ADD)
    assert "added" in done.stdout, done.stderr


@pytest.fixture
def staff(visit, shop):
    """`staff(java_script_enabled=False)`: a page of somebody of the staff, on the dashboard."""

    def log_in(**options):
        page, who = visit(**options), shop.facts["staff"]
        page.goto("/admin/login/?next=/admin/")
        page.fill("[name=login]", who["email"])
        page.fill("[name=password]", who["password"])
        page.press("[name=password]", "Enter")
        page.wait_for_url("**/admin/")
        return page

    return log_in


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_failure_is_found_understood_and_mended_from_the_dashboard(staff, dead, scripts):
    page = staff(java_script_enabled=scripts)
    page.click("text=orders.email_confirmation")
    assert page.inner_text(".wb-sentence") == "Nobody will try this again until you decide."
    assert page.inner_text(".wb-message") == "OSError: refused"
    page.click("button:has-text('Retry now')")
    assert "orders.email_confirmation will be tried again now." in page.inner_text("#page")
    until(lambda: page.reload() and "It has worked since." in page.inner_text("#page"), within=20)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_failures_are_discarded_from_the_list_with_a_reason(staff, dead, scripts):
    page = staff(java_script_enabled=scripts)
    page.goto("/admin/notifications/failure/?show=dead")
    page.check("input.action-select")
    page.select_option("select[name=action]", "discard_selected")
    page.click("button[name=index]")
    page.fill("#reason", "the buyer has it on paper")
    page.click("button:has-text('Discard 1')")
    assert "1 discarded." in page.inner_text("#page")
    page.goto(f"/admin/notifications/delivery/{dead}/change/")
    assert "the buyer has it on paper" in page.inner_text("#page")


def test_the_order_page_has_the_button_and_comes_back_to_the_order(staff, order, dead):
    page = staff()
    page.goto(f"/admin/orders/order/?q={order}")
    page.click(f"#result_list a:has-text('{order}')")
    page.click(".wb-strip button:has-text('Retry now')")
    assert page.title().strip().startswith(order)
    assert "will be tried again now." in page.inner_text("#page")


def test_the_letter_is_shown_as_its_reader_sees_it(staff, order):
    page = staff()
    page.goto("/admin/notifications/letter/?q=night@example.com")
    page.click("#result_list tbody th a")
    assert order in page.frame_locator(".wb-letter").locator("body").inner_text()


def walk(page, dead):
    for path in (
        "",
        "pipeline/",
        "system/",
        "orders/order/",
        "notifications/failure/",
        f"notifications/failure/{dead}/change/",
    ):
        page.goto(f"/admin/{path}")
        yield path
    page.goto("/admin/orders/order/")
    page.click("#result_list tbody th a")
    yield "order"
    page.click("text=See every letter as it would be")
    yield "a letter beforehand"
    for of in ("delivery", "event", "letter", "worker", "endpoint", "auditentry"):
        page.goto(f"/admin/notifications/{of}/")
        page.click("#result_list tbody th a")
        yield of
    for of in ("stock", "product", "voucher", "shippingmethod", "taxrate"):
        page.goto(f"/admin/orders/{of}/")
        page.click("#result_list tbody th a")
        yield of
    page.goto("/admin/orders/stock/import/")
    yield "stock import"
    for path in ("", "add/", "1/watch/"):
        page.goto(f"/admin/notifications/campaign/{path}")
        yield f"campaign {path}"
    page.goto("/admin/notifications/subscriber/")
    yield "subscribers"


@pytest.mark.usefixtures("others")
def test_no_staff_page_shuts_anybody_out(staff, dead):
    page = staff(bypass_csp=True, reduced_motion="reduce")
    assert [fault for name in walk(page, dead) for fault in faults_of_staff_page(page, name)] == []


def test_the_decision_guide_answers_without_scripts(staff):
    page = staff(java_script_enabled=False)
    page.goto("/admin/advise/")
    page.check("text=Does it change money or stock?")
    page.check("text=Does it call another machine")
    page.click("button:has-text('Where does it belong?')")
    assert page.inner_text("#advice").startswith("Hybrid")
    assert "Give money back" in page.inner_text(".wb-chosen")
    page.click("text=Copy as Markdown")
    assert page.inner_text(".wb-select").startswith("# Hybrid")


def test_the_books_are_checked_by_a_button(staff):
    page = staff(java_script_enabled=False)
    page.goto("/admin/system/")
    page.click("button:has-text('now')")
    until(lambda: page.reload() and page.locator("text=Orders, payments").count(), within=30, what="the doctor")
    assert page.locator(".wb-checks:first-of-type .wb-good").count() >= 16


def test_a_small_screen_reaches_every_list_without_scripts(staff):
    page = staff(java_script_enabled=False, viewport={"width": 320, "height": 800})
    links = page.eval_on_selector_all(".wb-narrow-menu a", "links => links.map(link => link.innerText.trim())")
    assert [link.split()[0] for link in links][:5] == ["Dashboard", "Orders", "Products", "Stock", "Uploads"]
    for link in page.locator(".wb-narrow-menu a").all():
        assert link.is_visible()


def test_the_banner_appears_when_the_relay_is_gone_and_goes_when_it_is_back(staff, shop):
    page = staff()
    assert page.locator("[role=alert]").count() == 0
    # Stopped, not killed: the supervisor brings a dead relay back before its silence is noticed.
    relay = shop.kill("relay", signal.SIGSTOP)
    try:
        until(lambda: page.reload() and page.locator("[role=alert]").count(), within=25, what="the banner")
        assert "No relay is running" in page.inner_text("[role=alert]")
    finally:
        shop.kill("relay", signal.SIGCONT)
    until(lambda: page.reload() and not page.locator("[role=alert]").count(), within=25, what=f"relay {relay}")
