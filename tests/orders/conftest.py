"""A small shop for the tests of its verbs."""

import pytest
from django.utils import timezone

from orders import recovery, repayment
from orders.books import invariants
from orders.checkout import Buyer, Item, place_order
from orders.inventory import set_on_hand
from orders.models import Order, PaymentAttempt, Product, Refund, Stock

ADDRESS = {"name": "A", "line1": "1", "line2": "", "postal_code": "1", "city": "B", "country": "NL"}


@pytest.fixture
def shelf(transactional_db):
    """Ten mugs at 14.90 and ten prints at 25.00."""
    for sku, price in {"MUG": 1490, "PRINT": 2500}.items():
        made = Product.objects.create(sku=sku, slug=sku.lower(), name=sku.title(), price=price)
        set_on_hand(product=made, on_hand=10, note="")


@pytest.fixture
def buy(bank, shelf):
    """Place an order as a buyer does: two mugs and a print unless told otherwise."""

    def placed(*, card="pm_card_visa", email="a@example.com", mugs=2, prints=1, **more):
        items = [Item(sku=sku, quantity=count) for sku, count in (("MUG", mugs), ("PRINT", prints)) if count]
        return place_order(items=items, buyer=Buyer(email=email, shipping_address=ADDRESS), payment_method=card, **more)

    return placed


@pytest.fixture
def in_order(bank, settings, tmp_path):
    """Whether all books balance, the bank's ledger among them. Returns what does not, by invariant."""

    def wrong():
        ours = {str(pk) for pk in PaymentAttempt.objects.values_list("pk", flat=True)}
        lines = [line for line in bank.file.read_text().splitlines(True) if any(one in line for one in ours)]
        (tmp_path / "bank.jsonl").write_text("".join(lines))
        settings.WAYBILL_DATA = tmp_path
        return {checked.id: list(checked.examples) for checked in invariants() if checked.violations}

    return wrong


def left(sku):
    stock = Stock.objects.get(product__sku=sku)
    return stock.on_hand, stock.reserved


def status_of(order):
    return Order.objects.get(pk=order.pk).status


def follow_up():
    """What the handlers would do by and by."""
    for attempt in PaymentAttempt.objects.all():
        recovery.ask_gateway(attempt_id=attempt.pk)
    Refund.objects.open().update(asked_at=timezone.now() - repayment.AT_WORK_FOR)
    for refund in Refund.objects.open():
        repayment.carry_out(refund_id=refund.pk)
