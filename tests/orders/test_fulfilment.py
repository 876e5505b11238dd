"""Cancel, ship, take back: one winner, the other told, and the books balance."""

import threading

import pytest
from django.db import connection

from notifications.models import Event
from orders import fulfilment, payments
from orders.fulfilment import NotPaid, cancel, ship, take_back
from orders.gateways import stripe
from orders.idempotency import Key
from orders.models import OrderLine, PaymentAttempt, Refund, Shipment
from orders.refunds import BadUnits, Units, refund
from orders.status import WrongStatus
from tests.orders.conftest import follow_up, left, status_of


def told(name):
    return Event.objects.filter(name=name).count()


# -- cancel -----------------------------------------------------------------------------------


def test_a_paid_order_is_called_off_with_goods_and_money(buy, bank, in_order):
    order = cancel(order=buy(), reason="changed my mind")

    assert (order.status, order.payment_status) == ("cancelled", "refunded")
    assert (left("MUG"), left("PRINT")) == ((10, 0), (10, 0))
    assert told("order.cancelled") == 1
    assert in_order() == {}


@pytest.mark.parametrize("card", ["pm_card_authenticationRequired", "pm_bank_timeout_before_charge"])
def test_an_order_in_payment_is_called_off_at_the_bank_first(buy, monkeypatch, card, in_order):
    monkeypatch.setattr("orders.gateways.stripe_client.TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(stripe, "TOTAL_SECONDS", 0.5, raising=False)
    order = cancel(order=buy(card=card))

    assert (order.status, left("MUG")) == ("cancelled", (10, 0))
    assert (told("order.cancelled"), told("payment.failed")) == (1, 0)
    assert in_order() == {}


def test_money_that_came_before_the_wish_goes_back(buy, in_order):
    order = cancel(order=buy(card="pm_bank_error_after_charge"))
    follow_up()

    assert (status_of(order), Refund.objects.get().state, left("MUG")) == ("cancelled", "done", (10, 0))
    assert (told("payment.received"), told("order.cancelled")) == (1, 1)
    assert in_order() == {}


def test_a_wish_that_the_bank_did_not_hear_is_followed_up(buy, bank, in_order):
    order = buy(card="pm_card_authenticationRequired")
    bank.play("faults", path="cancel", mode="drop_before", times=1)

    assert cancel(order=order).status == "placed"
    follow_up()

    assert status_of(order) == "cancelled"
    assert in_order() == {}


def test_what_has_left_cannot_be_cancelled(buy):
    order = buy()
    ship(order=order)

    with pytest.raises(WrongStatus):
        cancel(order=order)


def test_cancelling_twice_is_told_and_the_same_key_is_not(buy, bank):
    order, key = buy(), Key(scope="staff:1", key="k", request_hash="h")
    cancel(order=order, key=key)

    assert cancel(order=order, key=key).status == "cancelled"
    with pytest.raises(WrongStatus):
        cancel(order=order)
    assert Refund.objects.count() == 1


# -- ship -------------------------------------------------------------------------------------


def test_parcels_leave_in_parts(buy, in_order):
    order = buy()

    first = ship(order=order, lines=[Units(sku="MUG", quantity=1)], carrier="PostNL", tracking="3S1")
    assert status_of(order) == "partly_shipped"
    ship(order=order)

    assert (status_of(order), Shipment.objects.count(), first.tracking) == ("shipped", 2, "3S1")
    assert [line.shippable for line in OrderLine.objects.all()] == [0, 0]
    assert told("order.shipped") == 2
    assert in_order() == {}


def test_more_than_was_ordered_does_not_leave(buy):
    order = buy()

    with pytest.raises(BadUnits):
        ship(order=order, lines=[Units(sku="MUG", quantity=3)])

    assert (status_of(order), Shipment.objects.count()) == ("paid", 0)


def test_what_was_refunded_before_it_left_stays(buy, in_order):
    order = buy()
    refund(order=order, lines=[Units(sku="PRINT", quantity=1)], restock=True)

    parcel = ship(order=order)

    assert [(row.line.sku, row.quantity) for row in parcel.lines.select_related("line")] == [("MUG", 2)]
    assert status_of(order) == "shipped"
    assert in_order() == {}


@pytest.mark.parametrize("card", ["pm_card_chargeDeclined", "pm_bank_error_after_charge"])
def test_what_is_not_paid_does_not_leave(buy, card):
    from orders.checkout import Declined
    from orders.models import Order

    try:
        order = buy(card=card)
    except Declined:
        order = Order.objects.get()

    with pytest.raises(WrongStatus):
        ship(order=order)


def test_the_same_key_is_the_same_parcel(buy):
    order, key = buy(), Key(scope="staff:1", key="k", request_hash="h")

    assert ship(order=order, key=key) == ship(order=order, key=key)
    assert Shipment.objects.count() == 1


def at_once(*doings):
    """Do them all at the same moment. Returns what each said: its value, or the exception."""
    start, said = threading.Barrier(len(doings)), [None] * len(doings)

    def run(index, doing):
        start.wait()
        try:
            said[index] = doing()
        except (WrongStatus, BadUnits, fulfilment.refunds.OverRefund) as refusal:
            said[index] = refusal
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(doings)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


@pytest.mark.parametrize("_round", range(5))
def test_refund_and_ship_at_once_have_one_winner(buy, in_order, _round):
    order = buy()

    refunded, shipped = at_once(lambda: refund(order=order), lambda: ship(order=order))

    # First refunded, nothing leaves; first shipped, the money may still go back.
    if isinstance(shipped, WrongStatus):
        assert (status_of(order), Shipment.objects.count()) == ("refunded", 0)
    else:
        assert (status_of(order), Shipment.objects.count(), len(refunded)) == ("refunded", 1, 1)
    assert in_order() == {}


@pytest.mark.parametrize("_round", range(5))
def test_cancel_and_ship_at_once_have_one_winner(buy, in_order, _round):
    order = buy()

    cancelled, shipped = at_once(lambda: cancel(order=order), lambda: ship(order=order))

    assert isinstance(cancelled, WrongStatus) != isinstance(shipped, WrongStatus)
    assert status_of(order) == ("shipped" if isinstance(cancelled, WrongStatus) else "cancelled")
    assert in_order() == {}


# -- take back --------------------------------------------------------------------------------


def test_goods_that_come_back_are_sold_again_and_paid_back(buy, in_order):
    order = buy()
    ship(order=order)

    [made] = take_back(order=order, lines=[Units(sku="MUG", quantity=2)], restock=True, refund=True, reason="too red")

    assert (made.state, made.amount, made.cause, left("MUG")) == ("done", 2980, "return", (10, 0))
    assert status_of(order) == "shipped"
    assert in_order() == {}


def test_broken_goods_come_back_without_the_shelf_and_without_money(buy, in_order):
    order = buy()
    ship(order=order)

    assert take_back(order=order, lines=[Units(sku="MUG", quantity=1)], restock=False, refund=False) == []

    assert (left("MUG"), OrderLine.objects.get(sku="MUG").returned) == ((8, 0), 1)
    assert in_order() == {}


def test_what_never_left_does_not_come_back(buy):
    order = buy()
    ship(order=order, lines=[Units(sku="MUG", quantity=1)])

    with pytest.raises(BadUnits):
        take_back(order=order, lines=[Units(sku="MUG", quantity=2)], restock=True, refund=True)


# -- money that is held until the goods leave -------------------------------------------------


@pytest.fixture
def held(settings, buy):
    settings.CAPTURE_ON_SHIPMENT = True
    return buy


def charged(bank, order):
    attempts = [str(attempt.pk) for attempt in order.attempts.all()]
    return sum(e["amount"] for e in bank.ledger(kind="charge", status="succeeded") if e["reference"] in attempts)


def test_held_money_is_taken_when_the_first_parcel_leaves(held, bank, in_order):
    order = held()
    assert (order.status, order.payment_status, charged(bank, order)) == ("paid", "authorized", 0)
    assert in_order() == {}

    ship(order=order, lines=[Units(sku="MUG", quantity=1)])
    ship(order=order)

    assert (status_of(order), charged(bank, order)) == ("shipped", order.total)
    assert told("payment.received") == 1
    assert in_order() == {}


def test_held_money_of_a_cancelled_order_is_let_go(held, bank, in_order):
    order = cancel(order=held())
    follow_up()

    assert (order.status, PaymentAttempt.objects.get().state, charged(bank, order)) == ("cancelled", "expired", 0)
    assert left("MUG") == (10, 0)
    assert in_order() == {}


def test_money_that_the_bank_let_go_does_not_pay_for_a_parcel(held, in_order):
    order = held()
    attempt = PaymentAttempt.objects.get()
    stripe.cancel(payments.charge_of(attempt), gateway_id=attempt.gateway_id)

    with pytest.raises(NotPaid):
        ship(order=order)

    assert (status_of(order), left("MUG"), Shipment.objects.count()) == ("expired", (10, 0), 0)
    assert in_order() == {}
