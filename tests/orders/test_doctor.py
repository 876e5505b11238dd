"""The doctor sees what is wrong, and mends what it can when told to."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from orders.books import invariants
from orders.models import (
    Invoice,
    Order,
    OrderLine,
    PaymentAttempt,
    Refund,
    Stock,
    StockHold,
    StockMovement,
    Voucher,
)
from orders.refunds import refund
from tests.orders.conftest import left


def red():
    return {checked.id for checked in invariants() if checked.violations}


WRONGS = {
    "I3": lambda: PaymentAttempt.objects.update(captured=F("captured") + 1),
    "I4": lambda: Stock.objects.filter(product__sku="MUG").update(on_hand=F("on_hand") + 1),
    "I6": lambda: PaymentAttempt.objects.update(state="declined"),
    "I10": lambda: Order.objects.update(status="shipped"),
    "I11": lambda: PaymentAttempt.objects.update(refunded=1),
    "N1": lambda: Invoice.objects.update(serial=2),
}


@pytest.mark.parametrize("name", WRONGS)
def test_each_wrong_is_seen_under_its_own_name(buy, in_order, name):
    buy()
    assert in_order() == {}

    WRONGS[name]()

    assert name in red()


def test_a_refund_the_bank_knows_nothing_of_is_seen(buy, in_order):
    order = buy()
    refund(order=order, amount=100)
    assert in_order() == {}

    Refund.objects.update(amount=99, finished_at=timezone.now() - timedelta(minutes=2))

    assert "I11" in red()


def test_a_voucher_used_too_often_is_seen(buy, in_order):
    Voucher.objects.create(code="TEN", kind="percent", value=10)
    buy(voucher="TEN")
    assert in_order() == {}

    Voucher.objects.update(uses=2)

    assert "I14" in red()


pytestmark = pytest.mark.usefixtures("own_bank")


def test_drift_of_the_shelf_is_mended_with_a_movement_that_says_so(buy, in_order, capsys):
    buy()
    in_order()
    Stock.objects.filter(product__sku="MUG").update(on_hand=F("on_hand") + 3, reserved=1)

    call_command("doctor", "--fix", "--yes", "--json")

    assert json.loads(capsys.readouterr().out)["ok"]
    assert left("MUG") == (11, 0)
    assert StockMovement.objects.get(note__startswith="the doctor").quantity == 3


def test_a_hold_that_nobody_needs_is_let_go(buy, in_order):
    order = buy(card="pm_card_authenticationRequired")
    PaymentAttempt.objects.update(state="declined", finished_at=timezone.now())
    StockHold.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    in_order()

    with pytest.raises(SystemExit):  # that the order is still placed, it leaves to a person
        call_command("doctor", "--fix", "--yes")

    assert left("MUG") == (10, 0)
    assert order.holds.filter(state="released").count() == 2


def test_nothing_is_done_without_a_yes(buy, in_order, monkeypatch):
    buy()
    in_order()
    Stock.objects.filter(product__sku="MUG").update(reserved=1)
    monkeypatch.setattr("builtins.input", lambda _: "")

    with pytest.raises(SystemExit):
        call_command("doctor", "--fix")

    assert left("MUG") == (8, 1)


def test_lines_keep_their_units_in_the_database_itself(buy):
    from django.db import IntegrityError, transaction

    buy()

    with pytest.raises(IntegrityError), transaction.atomic():
        OrderLine.objects.update(shipped=F("quantity") + 1)
