"""A small shop for the tests of its verbs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orders import recovery, repayment, settlement
from orders.books import invariants
from orders.checkout import Buyer, Item, place_order
from orders.gateways import stripe
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


@pytest.fixture
def own_bank(bank, monkeypatch):
    """The bank serves all tests: what others charged there is not ours to compare."""
    monkeypatch.setattr(settlement, "YOUNG", timedelta(seconds=-5))
    there = {charge.gateway_id for charge in stripe.charges_since(timezone.now() - timedelta(hours=1))}
    back = {one.gateway_id for one in stripe.refunds_since(timezone.now() - timedelta(hours=1))}
    charges, refunds = stripe.charges_since, stripe.refunds_since
    monkeypatch.setattr(stripe, "charges_since", lambda since: [c for c in charges(since) if c.gateway_id not in there])
    monkeypatch.setattr(stripe, "refunds_since", lambda since: [r for r in refunds(since) if r.gateway_id not in back])


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
