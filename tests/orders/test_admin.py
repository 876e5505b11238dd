"""What staff see of the shop, as Django answers it."""

import json
import re

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from notifications import context
from notifications.models import Delivery, Event, Letter, Worker
from orders import inventory
from orders.models import Order, OrderLine, PaymentAttempt, Product, StatusChange

pytestmark = pytest.mark.django_db

ORDERS = "/admin/orders/order/"
ADDRESS = {"name": "Ada", "line1": "Quay 1", "postal_code": "1011", "city": "Hoorn", "country": "NL"}


@pytest.fixture(autouse=True)
def fresh_health(monkeypatch):
    """Nothing is known from an earlier test, and a slow machine does not ask twice for one page."""
    context.forget_health()
    monkeypatch.setattr(context, "REMEMBERED", 60.0)


@pytest.fixture
def staff(client):
    """The browser of somebody who may do everything."""
    client.force_login(User.objects.create(email="sam@example.com", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def colleague(client):
    """`colleague("view_order")` is the browser of somebody who may do just that."""

    def log_in(*permissions):
        user = User.objects.create(email="kim@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


def mug(sku="MUG", **facts):
    made = Product.objects.create(
        **{"sku": sku, "slug": sku.lower(), "name": f"A {sku.lower()}", "price": 1290, **facts}
    )
    inventory.set_on_hand(product=made, on_hand=10, note="test")
    return made


def order(status="paid", payment="succeeded", **facts):
    """An order with a line, a payment attempt and a status change, as a checkout leaves them."""
    paid_at = timezone.now() if status == "paid" else None
    made = Order.objects.create(
        **{
            "email": "ada@example.com",
            "status": status,
            "currency": "EUR",
            "subtotal": 1290,
            "shipping": 490,
            "total": 1780,
            "shipping_method": "standard",
            "shipping_address": ADDRESS,
            "paid_at": paid_at,
            "correlation_id": "abc-123",
            **facts,
        }
    )
    product = Product.objects.filter(sku="MUG").first() or mug()
    OrderLine.objects.create(
        order=made, product=product, sku="MUG", name="A mug", unit_price=1290, quantity=1, total=1290
    )
    ended = None if payment in PaymentAttempt.OPEN else timezone.now()
    PaymentAttempt.objects.create(
        order=made, state=payment, amount=1780, currency="EUR", payment_method="pm_card_visa", finished_at=ended
    )
    StatusChange.objects.create(order=made, to_status=status, actor="visitor")
    return made


def delivery(about, state="done", **facts):
    event = Event.objects.create(
        name="payment.received",
        subject=f"order:{about.pk}",
        payload={"order_id": about.pk},
        correlation_id="abc-123",
        actor="system",
    )
    return Delivery.objects.create(
        **{"event": event, "handler": "orders.email_confirmation", "state": state, "queue": "mail", **facts}
    )


def numbers(response):
    """The order numbers that a list shows, from the top."""
    return re.findall(r"WB-[0-9A-Z]{8}(?=</a></th>)", response.content.decode())


def test_the_list_shows_what_an_order_is_worth_and_how_far_it_is(staff):
    made = order()
    delivery(made)
    delivery(made, state="ready")
    delivery(made, state="cancelled")
    page = staff.get(ORDERS).content.decode()
    assert numbers(staff.get(ORDERS)) == [made.number]
    assert "€17.80" in page
    assert re.findall(r'wb-badge [\w-]+">([^<]+)<', page) == ["Paid", "To ship", "1/2"]


def test_the_list_asks_as_many_questions_for_twenty_orders_as_for_two(staff, django_assert_num_queries):
    for count in (2, 18):
        for _ in range(count):
            delivery(order(), state="dead", last_error="no")
        staff.get(ORDERS)
        context.forget_health()
        # session, user, health (2), count, date hierarchy (2), orders with their effects, payment attempts
        with django_assert_num_queries(9):
            staff.get(ORDERS)


@pytest.mark.parametrize(
    ("tab", "found"),
    [
        ("all", ["shipped", "owed", "dead", "doubtful", "unpaid", "paid"]),
        ("attention", ["owed", "dead", "doubtful"]),
        ("unpaid", ["doubtful", "unpaid"]),
        ("ship", ["dead", "paid"]),
    ],
)
def test_the_tabs_find_what_is_to_be_done(staff, tab, found):
    made = {
        "paid": order(),
        "unpaid": order("placed", "in_flight"),
        "doubtful": order("placed", "unknown"),
        "dead": order(),
        "owed": order("refund_due"),
        "shipped": order("shipped", paid_at=timezone.now()),
    }
    delivery(made["dead"], state="dead", last_error="no")
    delivery(made["paid"])
    names = {row.number: name for name, row in made.items()}
    assert [names[number] for number in numbers(staff.get(ORDERS, {"show": tab}))] == found


@pytest.mark.parametrize("words", ["{number}", "eve@", "trace-7"])
def test_an_order_is_found_by_number_address_and_correlation(staff, words):
    order()
    wanted = order(email="eve@example.com", correlation_id="trace-7")
    assert numbers(staff.get(ORDERS, {"q": words.format(number=wanted.number)})) == [wanted.number]


def test_orders_are_read_only_even_for_a_superuser(staff):
    made = order()
    assert staff.get(f"{ORDERS}add/").status_code == 403
    assert staff.get(f"{ORDERS}{made.pk}/delete/").status_code == 403
    staff.post(f"{ORDERS}{made.pk}/change/", {"status": "shipped"})
    made.refresh_from_db()
    assert made.status == "paid"


def test_an_order_needs_the_permission_to_view_it(colleague):
    made, browser = order(), colleague("view_failure")
    assert browser.get(ORDERS).status_code == 403
    assert browser.get(f"{ORDERS}{made.pk}/change/").status_code == 403


def test_an_order_that_does_not_exist_is_said_to_be_missing_and_not_an_error(staff):
    assert staff.get(f"{ORDERS}9999/change/").status_code == 302
    assert staff.get(f"{ORDERS}x/change/").status_code == 302


def test_the_order_page_tells_everything_in_a_known_number_of_questions(staff, django_assert_num_queries):
    made = order()
    dead = delivery(made, state="dead", last_error="SMTPException: refused", attempt=10)
    Letter.objects.create(
        once="x",
        template="orders/confirmation",
        subject_ref=f"order:{made.pk}",
        to=made.email,
        subject="Thank you",
        text="t",
        html="<p>t</p>",
        message_id="<1@x>",
        correlation_id="abc-123",
    )
    url = f"{ORDERS}{made.pk}/change/"
    staff.get(url)
    context.forget_health()
    # session, user, health (2); order, attempts, lines; timeline: events, deliveries, tries, letters, moves, status
    # changes, refunds, parcels, edits, invoices; failures; attention: failed and open refunds, differences; what is
    # left to give back; refunds, parcels, edits, invoices; letters; moves; holds; raw: status changes, holds, moves;
    # returns; the audit log: that somebody looked, and from where
    with django_assert_num_queries(36):
        page = staff.get(url).content.decode()
    assert "SMTPException: refused" in page
    assert f'action="/admin/notifications/failure/{dead.pk}/retry/"' in page
    assert "&lt;1@x&gt;" in page
    assert re.findall(r'<span class="wb-kind">(\w+)<', page) == ["payment", "status", "event", "delivery", "mail"]


def test_the_raw_rows_leave_out_the_token_of_the_cart(staff):
    made = order(cart_token="a-secret")
    assert "a-secret" not in staff.get(f"{ORDERS}{made.pk}/change/").content.decode()


@pytest.mark.parametrize(
    ("status", "payment", "sentence"),
    [
        ("refund_due", "succeeded", "The money was taken, and the order cannot be fulfilled: refund it."),
        ("placed", "mismatch", "The bank took or held another amount than we asked for."),
        ("placed", "unknown", "The bank has not said whether it took the money."),
    ],
)
def test_the_order_page_says_what_is_wrong_with_the_payment(staff, status, payment, sentence):
    made = order(status, payment)
    assert sentence in staff.get(f"{ORDERS}{made.pk}/change/").content.decode()


def test_a_silent_bank_can_be_asked_again_from_the_order(staff):
    made = order("placed", "unknown")
    asking = delivery(made, "ready", handler="orders.ask_gateway", last_error="not told yet")
    page = staff.get(f"{ORDERS}{made.pk}/change/").content.decode()
    assert "Ask the bank now" in page
    answer = staff.post(f"/admin/notifications/failure/{asking.pk}/retry/", {"next": f"{ORDERS}{made.pk}/change/"})
    assert answer.headers["Location"] == f"{ORDERS}{made.pk}/change/"


def test_an_order_that_is_well_has_no_attention_strip(staff):
    assert "Needs attention</h2>" not in staff.get(f"{ORDERS}{order().pk}/change/").content.decode()


# -- The dashboard ----------------------------------------------------------------------------


def tiles(page):
    """Each tile's title with its value."""
    found = re.findall(r'wb-tile-title">([^<]+)</span>\s*<strong>([^<]*)</strong>', page.content.decode())
    return dict(found)


def test_the_dashboard_counts_and_links_to_what_it_counts(staff):
    order()
    order("placed", "unknown")
    delivery(order(), state="dead", last_error="no")
    Worker.objects.create(kind="relay", host="here", pid=1, lock_key=1)
    page = staff.get("/admin/")
    assert tiles(page) == {
        "Needs attention": "2",
        "Orders today": "3",
        "Revenue today": "€35.60",
        "Waiting for payment": "1",
        "To ship": "2",
        "Dead": "1",
        "Due deliveries": "0",
        "Relay": "alive",
        "Workers alive": "0",
    }
    links = re.findall(r'class="wb-tile[^"]*" href="([^"]+)"', page.content.decode())
    assert [staff.get(link.replace("&amp;", "&")).status_code for link in links] == [200] * 9


def test_the_dashboard_shows_each_only_what_they_may_see(colleague):
    assert list(tiles(colleague("view_order").get("/admin/"))) == [
        "Needs attention",
        "Orders today",
        "Revenue today",
        "Waiting for payment",
        "To ship",
    ]


def test_the_dashboard_says_that_all_is_well(staff, settings):
    settings.BROKER_URL = "redis://127.0.0.1:1"
    for kind in ("relay", "worker"):
        Worker.objects.create(kind=kind, host="here", pid=1, lock_key=1, note={"mode": "celery"})
    assert "Everything is running." in staff.get("/admin/").content.decode()


# -- Products and stock -----------------------------------------------------------------------

NO_PRICES = {"prices-TOTAL_FORMS": "0", "prices-INITIAL_FORMS": "0"}


def test_a_product_is_renamed_repriced_and_hidden(staff):
    product = mug()
    url = reverse("admin:orders_product_change", args=[product.pk])
    staff.post(url, {"name": "A cup", "description": "", "amount": "14.05", "tax_class": "standard", **NO_PRICES})
    product.refresh_from_db()
    assert (product.name, product.price, product.is_active, product.sku) == ("A cup", 1405, False, "MUG")


@pytest.mark.parametrize("amount", ["0", "-1", "1.005", "much"])
def test_a_price_that_is_none_is_refused(staff, amount):
    product = mug()
    url = reverse("admin:orders_product_change", args=[product.pk])
    answer = staff.post(url, {"name": "A cup", "amount": amount, "tax_class": "standard", **NO_PRICES})
    assert answer.status_code == 200
    product.refresh_from_db()
    assert product.price == 1290


def test_the_product_list_asks_one_question_for_all_of_them(staff, django_assert_num_queries):
    for number in range(12):
        mug(f"MUG-{number}")
    staff.get("/admin/orders/product/")
    context.forget_health()
    with django_assert_num_queries(6):  # session, user, health (2), count, products with their stock
        staff.get("/admin/orders/product/")


def test_stock_is_shown_with_its_movements_and_cannot_be_typed_over(staff):
    stock = mug().stock
    page = staff.get(reverse("admin:orders_stock_change", args=[stock.pk])).content.decode()
    assert "Set the count" in page
    assert "+10" in page
    assert staff.get("/admin/orders/stock/add/").status_code == 403


def test_the_raw_json_of_an_order_is_json(staff):
    made = order()
    page = staff.get(f"{ORDERS}{made.pk}/change/")
    raw = page.context["raw"]
    assert json.loads(json.dumps(raw, default=str))["number"] == made.number
