"""No open payment is forgotten, whatever becomes of the delivery that asks about it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from notifications.models import Delivery, Event
from notifications.pipeline import clock, events
from orders import recovery
from orders.books import invariants
from orders.checkout import Buyer, Item, place_order
from orders.gateways.base import Outcome, Status
from orders.inventory import set_on_hand
from orders.models import Order, PaymentAttempt, Product, Stock

ADDRESS = {"name": "A", "line1": "1", "line2": "", "postal_code": "1", "city": "B", "country": "NL"}


def answer(status):
    def say(charge, gateway_id=None):
        taken = status in (Status.SUCCEEDED, Status.AUTHORIZED)
        return Outcome(
            status=status,
            gateway_id=f"pi_{charge.reference}",
            amount=charge.amount if taken else None,
            currency=charge.currency if taken else None,
        )

    return say


@pytest.fixture
def mug(transactional_db):
    made = Product.objects.create(sku="MUG", slug="mug", name="Mug", price=1490)
    set_on_hand(product=made, on_hand=5, note="")
    return made


def buy():
    return place_order(
        items=[Item(sku="MUG", quantity=1)],
        buyer=Buyer(email="a@example.com", shipping_address=ADDRESS),
        payment_method="pm_card_visa",
    )


@pytest.fixture
def unanswered(mug, monkeypatch):
    """An order the bank has not answered, five minutes old, whose question was given up."""
    monkeypatch.setattr("orders.gateways.stripe.charge", answer(Status.UNKNOWN))
    order = buy()
    PaymentAttempt.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    Delivery.objects.filter(handler="orders.settle_unanswered_payment").update(state="done")
    return order


@pytest.mark.parametrize("end", ["dead", "cancelled"])
def test_a_question_that_was_given_up_is_asked_again_within_a_minute(unanswered, deliver_due, monkeypatch, end):
    Delivery.objects.filter(handler="orders.ask_gateway").update(state=end)
    doctor = {found.id: found.violations for found in invariants()}
    monkeypatch.setattr("orders.gateways.stripe.find", answer(Status.SUCCEEDED))

    clock.tick(timezone.now())
    deliver_due()
    Delivery.objects.filter(handler="orders.ask_gateway", state="ready").update(available_at=timezone.now())
    deliver_due()

    assert doctor["I12"] == 1
    assert Order.objects.get().status == "paid"
    assert Stock.objects.get().on_hand == 4


def test_a_question_that_still_waits_is_not_asked_twice(unanswered, deliver_due):
    Delivery.objects.filter(handler="orders.ask_gateway").update(available_at=timezone.now() + timedelta(minutes=1))

    clock.tick(timezone.now())
    deliver_due()

    assert Event.objects.filter(name="payment.unanswered").count() == 1


@pytest.mark.parametrize(
    ("status", "asks_again", "left"),
    [
        (Status.AUTHORIZED, False, ("paid", "authorized", 4)),
        (Status.UNKNOWN, True, ("paid", "authorized", 4)),
        (Status.CANCELLED, False, ("expired", "expired", 5)),
        (Status.NOT_CHARGED, False, ("expired", "expired", 5)),
        (Status.SUCCEEDED, False, ("paid", "succeeded", 4)),
    ],
)
def test_what_is_held_is_asked_about_until_the_bank_has_answered_once(
    mug, settings, monkeypatch, status, asks_again, left
):
    settings.CAPTURE_ON_SHIPMENT = True
    monkeypatch.setattr("orders.gateways.stripe.charge", answer(Status.AUTHORIZED))
    monkeypatch.setattr("orders.gateways.stripe.find", answer(status))
    monkeypatch.setattr("orders.gateways.stripe.cancel", answer(Status.CANCELLED))
    order = buy()

    again = recovery.ask_gateway(attempt_id=order.last_attempt.pk)

    order.refresh_from_db()
    assert (again is not None, (order.status, order.last_attempt.state, Stock.objects.get().on_hand)) == (
        asks_again,
        left,
    )


def test_deaths_count_as_poison_only_in_a_row(unanswered, deliver_due, monkeypatch):
    monkeypatch.setattr("orders.gateways.stripe.find", answer(Status.UNKNOWN))
    Delivery.objects.filter(handler="orders.ask_gateway").update(crashes=2, available_at=timezone.now())

    deliver_due()

    asking = Delivery.objects.get(handler="orders.ask_gateway")
    assert (asking.state, asking.crashes) == ("ready", 0)


def test_a_charge_whose_outcome_cannot_be_written_is_no_failure_for_the_buyer(mug, monkeypatch):
    monkeypatch.setattr("orders.gateways.stripe.charge", answer(Status.SUCCEEDED))

    def locked(**_):
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr("orders.checkout.settle", locked)

    order = buy()

    assert (order.status, order.payment_status) == ("placed", "pending")


def test_charges_that_time_out_do_not_wake_each_other_without_a_pause(mug, deliver_due, monkeypatch):
    """The bank answers questions, and takes no charge: two payments in turn once asked it as fast as they could."""
    sent = []

    def charge(asked):
        sent.append(asked)
        if len(sent) > 10:
            pytest.fail("The bank is asked without a pause.")
        silence = answer(Status.UNKNOWN)(asked)
        return replace(silence, code="timeout")

    monkeypatch.setattr("orders.gateways.stripe.charge", charge)
    monkeypatch.setattr("orders.gateways.stripe.find", answer(Status.NOT_CHARGED))
    buy(), buy()
    Delivery.objects.filter(handler="orders.ask_gateway").update(available_at=timezone.now())

    deliver_due()

    assert len(sent) == 4  # each by its own request, and once by its question


def test_the_sweep_is_an_ordinary_handler():
    assert "orders.ask_about_forgotten_payments" in events.subscriptions
