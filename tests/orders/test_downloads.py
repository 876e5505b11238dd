"""Lists of orders and of differences as CSV files: what the list shows, and nothing that a spreadsheet computes."""

import csv
import io
import re

import pytest
from django.utils import timezone

from accounts.models import User
from notifications.audit.models import AuditEntry
from orders.models import Difference, Order, OrderLine, PaymentAttempt, Product

pytestmark = pytest.mark.django_db
ORDERS, DIFFERENCES = "/admin/orders/order/", "/admin/orders/difference/"


@pytest.fixture
def staff(client):
    client.force_login(User.objects.create(email="sam@example.com", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def mug():
    return Product.objects.create(sku="MUG", slug="mug", name="Mug", price=1290)


def an_order(mug, email, *, status="placed", name="Ada", currency="EUR"):
    made = Order.objects.create(
        email=email,
        status=status,
        currency=currency,
        subtotal=2580,
        shipping=490,
        total=3070,
        shipping_method="standard",
        shipping_address={"name": name, "country": "NL"},
        correlation_id="abc",
    )
    OrderLine.objects.create(order=made, product=mug, sku="MUG", name="Mug", unit_price=1290, quantity=2, total=2580)
    PaymentAttempt.objects.create(order=made, amount=3070, currency=currency, payment_method="pm", state="unknown")
    return made


def read(answer):
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


def test_each_order_is_a_row_with_amounts_as_people_write_them(staff, mug):
    euros, yen = an_order(mug, "a@example.com"), an_order(mug, "b@example.com", currency="JPY")

    first, second = read(staff.get(f"{ORDERS}csv/"))

    assert first == {
        "number": euros.number,
        "placed_at": euros.placed_at.isoformat(),
        "status": "placed",
        "payment": "checking",
        "email": "a@example.com",
        "name": "Ada",
        "country": "NL",
        "items": "2 × MUG",
        "currency": "EUR",
        "subtotal": "25.80",
        "shipping": "4.90",
        "tax": "0.00",
        "tax_included": "0.00",
        "discount": "0.00",
        "total": "30.70",
    }
    assert (second["number"], second["total"]) == (yen.number, "3070")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", ["a@example.com", "b@example.com", "c@example.org"]),
        ("?show=refund", ["b@example.com"]),
        ("?status__exact=declined", ["c@example.org"]),
        ("?q=example.com", ["a@example.com", "b@example.com"]),
        ("?q=example.com&show=unpaid&p=1", ["a@example.com"]),
    ],
)
def test_the_file_holds_what_the_list_shows(staff, mug, asked, found):
    for email, status in (("a@example.com", "placed"), ("b@example.com", "refund_due"), ("c@example.org", "declined")):
        an_order(mug, email, status=status)

    assert [row["email"] for row in read(staff.get(f"{ORDERS}csv/{asked}"))] == found
    link = re.search(rf'href="({ORDERS}csv/[^"]*)"', staff.get(f"{ORDERS}{asked}").content.decode())[1]
    assert [row["email"] for row in read(staff.get(link.replace("&amp;", "&")))] == found


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", '=HYPERLINK("http://x","y")'])
def test_no_cell_is_a_formula(staff, mug, name):
    an_order(mug, "a@example.com", name=name)

    [row] = read(staff.get(f"{ORDERS}csv/"))

    assert row["name"] == f"'{name}"


def test_a_download_is_written_down_and_not_for_everybody(staff, client, mug):
    read(staff.get(f"{ORDERS}csv/?q=x"))
    assert AuditEntry.objects.get(action="order.exported").after == {"asked": ["q"]}

    client.force_login(User.objects.create(email="kim@example.com", is_staff=True))
    assert client.get(f"{ORDERS}csv/").status_code == 403


def test_the_open_differences_are_a_file_too(staff, mug):
    order = an_order(mug, "a@example.com")
    facts = {"kind": "stray_charge", "amount": 1290, "currency": "EUR", "gateway_id": "pi_1"}
    Difference.objects.create(reference="open", order=order, detail="=cmd|x", **facts)
    Difference.objects.create(reference="closed", detail="x", resolved_at=timezone.now(), resolved_by="user:1", **facts)

    [row] = read(staff.get(f"{DIFFERENCES}csv/"))

    about = {name: row[name] for name in ("kind", "order", "amount", "currency", "reference", "detail", "closed_at")}
    assert about == {
        "kind": "stray_charge",
        "order": order.number,
        "amount": "12.90",
        "currency": "EUR",
        "reference": "open",
        "detail": "'=cmd|x",
        "closed_at": "",
    }
    assert len(read(staff.get(f"{DIFFERENCES}csv/?show=all"))) == 2
    assert f'href="{DIFFERENCES}csv/"' in staff.get(DIFFERENCES).content.decode()
