"""The letters that follow money and goods: to the buyer in plain words, to the house with where to press."""

import uuid
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import User
from notifications.models import Letter
from orders import handlers, inventory, letters, links
from orders.events import (
    DifferenceFound,
    InventoryLow,
    OrderCancelled,
    OrderShipped,
    PaymentCameLate,
    PaymentMismatched,
    PaymentRefunded,
    RefundFailed,
)
from orders.models import Difference, Order, OrderLine, PaymentAttempt, Product, Refund, Shipment, ShipmentLine

pytestmark = pytest.mark.django_db
ADDRESS = {"name": "Ada", "line1": "Quay 1", "postal_code": "1011", "city": "Hoorn", "country": "NL"}


def order(status="paid", *, paid=True, taken=1780):
    product = Product.objects.create(sku="MUG", slug="mug", name="A <mug>", price=1290)
    inventory.set_on_hand(product=product, on_hand=10, note="test")
    made = Order.objects.create(
        email="ada@example.com",
        status=status,
        currency="EUR",
        subtotal=1290,
        shipping=490,
        total=1780,
        shipping_method="standard",
        shipping_address=ADDRESS,
        paid_at=timezone.now() if paid else None,
        correlation_id="abc",
    )
    OrderLine.objects.create(
        order=made, product=product, sku="MUG", name="A <mug>", unit_price=1290, quantity=1, total=1290
    )
    PaymentAttempt.objects.create(
        order=made,
        state="succeeded" if taken else "expired",
        amount=1780,
        captured=taken,
        captured_currency="EUR",
        currency="EUR",
        payment_method="pm_card_visa",
        finished_at=timezone.now(),
    )
    return made


def refund(of, **facts):
    return Refund.objects.create(
        **{"order": of, "attempt": of.last_attempt, "amount": 500, "currency": "EUR", "actor": "user:1", **facts}
    )


def the_letter():
    """The only letter, checked for what every letter owes its reader."""
    letter = Letter.objects.get()
    assert letter.subject
    assert "<mug>" not in letter.html
    assert "&lt;" not in letter.text
    assert "\n\n\n" not in letter.text
    assert "None" not in letter.text
    return letter


def test_a_cancelled_order_that_was_paid_promises_the_money(settings):
    made = order("cancelled")
    refund(made, cause="cancelled")
    handlers.email_cancelled(OrderCancelled(order_id=made.pk, reason="changed my mind"))
    letter = the_letter()
    assert letter.to == "ada@example.com"
    assert made.number in letter.subject
    for part in (letter.text, letter.html):
        assert "The reason: changed my mind" in part
        assert "Your money is on its way back" in part


def test_a_cancelled_order_that_was_never_paid_says_that_nothing_was_charged():
    made = order("cancelled", paid=False, taken=0)
    handlers.email_cancelled(OrderCancelled(order_id=made.pk, reason=""))
    letter = the_letter()
    assert "Nothing was charged." in letter.text
    assert "reason" not in letter.text


def test_money_that_was_only_held_is_said_to_be_free_again():
    made = order("cancelled", taken=0)
    handlers.email_cancelled(OrderCancelled(order_id=made.pk, reason=""))
    assert "only set the money aside" in the_letter().text


def test_each_refund_has_a_letter_with_its_amount_and_reason():
    made = order()
    given = refund(made, reason="a crack", state="done", finished_at=timezone.now())
    told = PaymentRefunded(order_id=made.pk, refund_id=str(given.pk), amount=500, currency="EUR")
    handlers.email_refunded(told)
    handlers.email_refunded(told)
    letter = the_letter()
    for part in (letter.subject, letter.text, letter.html):
        assert "€5.00" in part
    assert "The reason: a crack" in letter.text


@pytest.mark.parametrize(("status", "more"), [("partly_shipped", True), ("shipped", False)])
def test_each_parcel_has_a_letter_with_its_contents_and_carrier(status, more):
    made = order(status)
    parcel = Shipment.objects.create(order=made, carrier="PostNL", tracking="3SABC", actor="user:1")
    ShipmentLine.objects.create(shipment=parcel, line=made.lines.get(), quantity=1)
    handlers.email_shipped(OrderShipped(order_id=made.pk, shipment_id=parcel.pk))
    letter = the_letter()
    assert "1 × A <mug> (MUG)" in letter.text
    assert "With PostNL, tracking number 3SABC." in letter.text
    assert ("The rest follows in another parcel." in letter.text) is more


def test_a_wrong_amount_is_said_to_go_back_by_itself():
    made = order("refund_due", paid=False, taken=1880)
    told = PaymentMismatched(order_id=made.pk, attempt_id=str(uuid.uuid4()), agreed=1780, taken=1880, currency="EUR")
    handlers.email_wrong_amount(told)
    letter = the_letter()
    assert "taken €18.80" in letter.text
    for part in (letter.text, letter.html):
        assert "goes back to your card by itself" in part
        assert "fail" not in part.lower()


def test_money_that_came_too_late_is_said_to_go_back_by_itself():
    made = order("refund_due", paid=False)
    told = PaymentCameLate(order_id=made.pk, attempt_id=str(uuid.uuid4()), amount=1780, currency="EUR")
    handlers.email_came_late(told)
    letter = the_letter()
    assert "€17.80" in letter.text
    assert "goes back to your card by itself" in letter.html


def test_the_operator_hears_which_product_runs_low_and_where_to_count_it(settings):
    product = order().lines.get().product
    handlers.email_inventory_low(InventoryLow(sku="MUG", on_hand=4, low_at=5, at="2026-01-01T00:00:00+00:00"))
    letter = the_letter()
    assert letter.to == settings.OPERATOR_EMAIL
    assert "4 left on the shelf" in letter.text
    assert f"/admin/orders/stock/{product.stock.pk}/change/" in letter.text


def test_the_operator_hears_of_a_refund_that_did_not_work_and_where_to_press(settings):
    made = order("refund_due")
    lost = refund(made, state="failed", code="account_closed", message="Closed.", finished_at=timezone.now())
    handlers.alert_refund_failed(RefundFailed(order_id=made.pk, refund_id=str(lost.pk), code="account_closed"))
    letter = the_letter()
    assert letter.to == settings.OPERATOR_EMAIL
    assert "account_closed" in letter.text
    assert "Refund again" in letter.text
    assert f"{settings.SITE_URL}/admin/orders/order/{made.pk}/change/" in letter.html


def test_the_operator_hears_of_money_that_does_not_match_and_where_to_press(settings):
    found = Difference.objects.create(
        kind="stray_charge", reference="pi_1", amount=1780, currency="EUR", detail="Taken for no order."
    )
    handlers.alert_difference(DifferenceFound(difference_id=found.pk, kind="stray_charge"))
    letter = the_letter()
    assert "€17.80" in letter.text
    assert "Taken for no order." in letter.text
    assert f"/admin/orders/difference/{found.pk}/change/" in letter.text


# -- Seen beforehand ------------------------------------------------------------------------

ABOUT_NO_ORDER = {"difference", "inventory_low"}


def test_every_letter_about_an_order_can_be_seen_beforehand():
    there_are = {path.stem for path in Path("templates/orders/email").glob("*.txt")}

    assert there_are - ABOUT_NO_ORDER == set(letters.PREVIEWS)


@pytest.mark.parametrize("name", letters.PREVIEWS)
@pytest.mark.parametrize("status", ["placed", "paid", "cancelled"])
def test_each_is_shown_for_a_real_order_and_nothing_is_written(admin_client, name, status):
    made = order(status, paid=status == "paid")
    page = admin_client.get(f"/admin/orders/order/{made.pk}/letters/{name}/")
    frame = admin_client.get(f"/admin/orders/order/{made.pk}/letters/{name}/html/")

    letter = page.context["letter"]
    assert letter["subject"]
    assert "None" not in letter["text"] + letter["subject"]
    assert made.number in letter["text"] + letter["subject"] or name in ("wrong_amount", "refunded")
    assert frame.content.decode() == letter["html"]
    assert "default-src 'none'" in frame["Content-Security-Policy"]
    assert Letter.objects.count() == 0


def test_what_is_shown_is_what_is_sent_but_for_the_buyers_key():
    made = order()
    parcel = Shipment.objects.create(order=made, carrier="PostNL", tracking="3SABC", actor="user:1")
    ShipmentLine.objects.create(shipment=parcel, line=made.lines.get(), quantity=1)
    shown = letters.preview("shipped", made)
    handlers.email_shipped(OrderShipped(order_id=made.pk, shipment_id=parcel.pk))

    sent, key = the_letter(), links.guest_link(made).partition("?")[2]
    assert "3SABC" in shown["text"]
    assert key in sent.text
    assert shown["text"] == sent.text.replace(f"?{key}", "")
    assert shown["html"] == sent.html.replace(f"?{key}", "")


def test_the_latest_refund_is_the_one_that_is_shown():
    made = order("refund_due")
    for amount in range(100, 900, 100):
        refund(made, amount=amount)

    assert "€8.00" in letters.preview("refunded", made)["text"]


@pytest.mark.parametrize("name", ["nothing", "difference", "base"])
def test_other_letters_are_not_found(admin_client, name):
    assert admin_client.get(f"/admin/orders/order/{order().pk}/letters/{name}/").status_code == 404


def test_who_may_not_see_orders_sees_no_letter_of_theirs(client):
    client.force_login(User.objects.create(email="kim@example.com", is_staff=True))
    page = f"/admin/orders/order/{order().pk}/letters/confirmation/"

    assert client.get(page).status_code == 403
    assert client.get(f"{page}html/").status_code == 403
