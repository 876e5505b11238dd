"""What staff decide about an order, and that they looked, is in the audit log; what the shop does by itself is not."""

import pytest
from django.db import transaction
from django.test import Client

from accounts.models import User
from notifications import correlation
from notifications.models import AuditEntry
from notifications.pipeline.clock import ClockHour
from notifications.pipeline.events import publish
from orders import fulfilment, inventory, refunds, returning, stocktake
from orders.checkout import Item
from orders.editing import edit
from orders.fulfilment import ship, take_back
from orders.models import Product, Refund, ReturnRequest, Shipment
from orders.refunds import Units, refund

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sam():
    with correlation.bound(correlation_id="abc", actor="user:9", address="192.0.2.7"):
        yield


def told(action):
    """(by, about, before, after) of the entries of this kind."""
    rows = AuditEntry.objects.filter(action=action).order_by("pk")
    return list(rows.values_list("actor", "about", "before", "after"))


def test_a_return_that_is_declined_is_written_down_without_its_words(buy, sam):
    order = buy()
    asked = ReturnRequest.objects.create(order=order, units=[["MUG", 1]], words="it leaks", actor="user:5")
    returning.decline(request=asked, answer="Kanarina used it")

    assert told("return.decline") == [("user:9", f"order:{order.pk}", None, {"request": asked.pk})]


def test_a_cancelled_order_is_written_down(buy, sam):
    order = buy()
    fulfilment.cancel(order=order, reason="Kanarina asked")

    about = f"order:{order.pk}"
    assert told("order.cancel") == [("user:9", about, {"status": "paid"}, {"status": "cancelled"})]
    entry = AuditEntry.objects.get(action="order.cancel")
    assert (entry.correlation_id, entry.origin.address) == ("abc", "192.0.2.7")


def test_a_refund_is_written_down_with_its_amount(buy, sam):
    order = buy()
    refund(order=order, amount=100, reason="Kanarina asked")

    [made] = Refund.objects.all()
    facts = {"refunds": [{"refund": str(made.pk), "amount": 100, "currency": "EUR"}], "cause": "staff"}
    assert told("order.refund") == [("user:9", f"order:{order.pk}", None, facts)]


def test_a_refund_that_is_not_decided_is_not_written_down(buy, sam):
    with pytest.raises(refunds.OverRefund):
        refund(order=buy(), amount=100_000)

    assert told("order.refund") == []


def test_a_parcel_and_its_return_are_written_down(buy, sam):
    order = buy()
    parcel = ship(order=order, tracking="3SKABA")
    take_back(order=order, lines=[Units(sku="MUG", quantity=1)], restock=True, refund=False)

    about = f"order:{order.pk}"
    assert told("order.ship") == [("user:9", about, None, {"shipment": parcel.pk, "status": "shipped"})]
    assert told("order.take_back") == [("user:9", about, None, {"units": [["MUG", 1]], "refunds": []})]
    assert Shipment.objects.count() == 1


def test_an_edit_is_written_down_before_and_after(buy, sam):
    order = buy()
    edit(order=order, lines=[Item(sku="MUG", quantity=2)], reason="fewer")

    [(_, about, before, after)] = told("order.edit")
    assert about == f"order:{order.pk}"
    assert ([line[:2] for line in before["lines"]], [line[:2] for line in after["lines"]]) == (
        [["MUG", 2], ["PRINT", 1]],
        [["MUG", 2]],
    )


def test_corrected_stock_is_written_down(shelf, sam):
    mug = Product.objects.get(sku="MUG")
    inventory.set_on_hand(product=mug, on_hand=7, note="counted")
    stocktake.import_stock(data=b"sku,on_hand\nMUG,5\n")

    assert told("stock.correct")[-1] == ("user:9", f"product:{mug.pk}", {"on_hand": 10}, {"on_hand": 7})
    assert told("stock.import") == [("user:9", "", {"MUG": 7}, {"MUG": 5})]


def test_what_a_handler_does_is_told_by_its_event_not_by_the_log(shelf, sam):
    with transaction.atomic():
        cause = publish(ClockHour(at="2026-01-01T00:00:00+00:00"))
    with correlation.bound(correlation_id="abc", actor="orders.x", cause=cause.pk):
        inventory.set_on_hand(product=Product.objects.get(sku="MUG"), on_hand=7, note="")

    assert [row for row in told("stock.correct") if row[0] == "orders.x"] == []


def test_staff_who_look_at_somebodys_order_are_written_down(buy):
    order = buy()
    boss = User.objects.create_superuser("boss@example.com", "x")
    client = Client()
    client.force_login(boss)

    client.get(f"/admin/orders/order/{order.pk}/change/")
    client.get(f"/orders/{order.number}/")
    client.get(f"/orders/{order.number}/receipt/")

    assert told("order.viewed") == [(f"user:{boss.pk}", f"order:{order.pk}", None, None)] * 3


def test_a_buyer_who_looks_is_not(buy):
    order, client = buy(), Client()
    ada = User.objects.create_user("ada@example.com", "x")
    type(order).objects.update(user=ada)
    client.force_login(ada)

    assert client.get(f"/orders/{order.number}/").status_code == 200
    assert told("order.viewed") == []
