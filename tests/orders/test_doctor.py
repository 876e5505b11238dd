"""The doctor sees what is wrong, and mends what it can when told to."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from orders import differences
from orders.books import invariants
from orders.fulfilment import cancel
from orders.gateways.base import RefundOutcome, RefundStatus
from orders.models import (
    Difference,
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
from orders.refunds import Units, again, refund
from orders.repayment import settle_refund
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


def test_a_unit_taken_out_without_its_money_is_seen(buy, bank, in_order):
    order = buy()
    refund(order=order, lines=[Units(sku="MUG", quantity=1)])
    assert in_order() == {}

    OrderLine.objects.filter(sku="MUG").update(cancelled=2)

    assert in_order() == {"I11": [f"{order}: 2 MUG taken out, 1 given back for or owed"]}


def test_a_unit_whose_refund_failed_is_owed_until_it_is_given_back(buy, in_order):
    order = buy(card="pm_card_refundFail")
    [lost] = refund(order=order, lines=[Units(sku="MUG", quantity=1)])
    settle_refund(refund_id=lost.pk, outcome=RefundOutcome(status=RefundStatus.FAILED, code="closed_card"))
    assert "I11" not in red()

    again(lost=lost)

    assert "I11" not in red()
    OrderLine.objects.filter(sku="MUG").update(cancelled=2)  # as giving it back again once took another unit out
    assert "I11" in red()


def test_a_cancelled_order_whose_money_stayed_is_seen(buy, in_order):
    cancel(order=buy())
    order = buy(mugs=1)
    assert in_order() == {}

    Order.objects.filter(pk=order.pk).update(status="cancelled")

    assert f"{order} is cancelled, and {order.total} of its money is neither given back nor owed" in in_order()["I11"]


def test_more_units_gone_than_were_bought_are_seen(buy):
    """The database refuses them; the doctor looks all the same, as after a restored backup without its constraints."""
    buy()
    sqlite = connection.vendor == "sqlite"
    unguarded = "ALTER TABLE orders_orderline DROP CONSTRAINT line_units_known"
    let = "PRAGMA ignore_check_constraints = 1" if sqlite else unguarded
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(let)
            OrderLine.objects.filter(sku="MUG").update(shipped=F("quantity"), cancelled=1, refunded=1)
            seen = {checked.id: checked.examples for checked in invariants()}["I4"]
            transaction.set_rollback(True)
    finally:
        if sqlite:
            connection.cursor().execute("PRAGMA ignore_check_constraints = 0")

    assert [words for words in seen if "2 were shipped and 1 taken out" in words]


@pytest.fixture
def no_ledger(settings, tmp_path):
    """A shop whose gateway is not the local bank."""
    settings.WAYBILL_DATA = tmp_path


@pytest.mark.parametrize(
    ("kind", "invariant"),
    [
        ("unsettled", "I1"),
        ("stray_charge", "I1"),
        ("missing_charge", "I1"),
        ("amount", "I3"),
        ("stray_refund", "I11"),
        ("missing_refund", "I11"),
        ("unmatched_event", None),
    ],
)
def test_without_a_ledger_the_open_differences_count(db, no_ledger, kind, invariant):
    found = Difference.objects.create(kind=kind, reference="x", detail="as it was found")
    assert red() == ({invariant} if invariant else set())

    differences.resolve(found, by="user:1", how="seen to")
    assert red() == set()


def test_with_a_ledger_it_is_read_and_not_what_was_noted_before(buy, in_order):
    buy()
    Difference.objects.create(kind="unsettled", reference="x", detail="outdated")

    assert in_order() == {}


def test_the_doctor_says_when_there_was_no_ledger_to_compare(db, no_ledger, tmp_path, capsys):
    call_command("doctor")
    assert "There is no ledger of a bank here to compare with" in capsys.readouterr().out
    call_command("doctor", "--json")
    assert json.loads(capsys.readouterr().out)["bank_ledger"] is False

    (tmp_path / "bank.jsonl").touch()
    call_command("doctor")
    assert "no ledger" not in capsys.readouterr().out


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
