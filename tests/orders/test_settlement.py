"""The gateway's books against ours: every difference is found, told once, and mended by one press."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from notifications.models import Event
from orders import repairs, settlement
from orders.gateways import stripe
from orders.gateways.base import Charge, GatewaySilent
from orders.models import Difference, PaymentAttempt, Refund
from orders.refunds import refund
from orders.repairs import NotRepaired, repair
from orders.settlement import settle_books
from tests.orders.conftest import left, status_of

pytestmark = pytest.mark.usefixtures("own_bank")


def found():
    return [difference.kind for difference in settle_books()]


def mend():
    return repair(Difference.objects.open().get(), by="user:1")


def test_books_that_agree_have_no_differences(buy):
    refund(order=buy(), amount=500)

    assert found() == []


def test_taken_there_and_lost_here_is_settled(buy, bank):
    order = buy(card="pm_card_authenticationRequired")
    attempt = PaymentAttempt.objects.get()
    stripe.cancel(repairs.charge_of(attempt), gateway_id=attempt.gateway_id)
    bank.play("dashboard/charge", intent=attempt.gateway_id)

    assert found() == found() == ["unsettled"]
    assert Event.objects.filter(name="settlement.differed").count() == 1
    assert "settled" in mend()

    assert (status_of(order), found()) == ("paid", [])
    assert Difference.objects.get().resolved_by == "user:1"


def test_a_charge_of_no_order_is_given_back_once(shelf, bank):
    stray = Charge(
        reference="not-ours",
        amount=4200,
        currency="EUR",
        payment_method="pm_card_visa",
        order_number="?",
        email="x@y.zz",
    )
    stripe.charge(stray)

    assert found() == ["stray_charge"]
    difference = Difference.objects.get()
    mend()
    repair(difference, by="user:2")

    assert [entry["amount"] for entry in bank.ledger(kind="refund", reference="not-ours")] == [4200]
    assert found() == []


def test_paid_here_and_unknown_there_stays_until_a_person_has_seen_to_it(buy, monkeypatch):
    buy()
    PaymentAttempt.objects.update(started_at=F("started_at"))
    monkeypatch.setattr(settlement, "CLOCKS_DIFFER", timedelta(0))
    monkeypatch.setattr(stripe, "charges_since", lambda since: [])

    assert found() == ["missing_charge"]
    assert mend() == "the gateway has the payment after all"


@pytest.fixture
def held(buy, settings):
    """A paid order whose money the bank holds, by our books for ten days."""
    settings.CAPTURE_ON_SHIPMENT = True
    order = buy()
    PaymentAttempt.objects.update(started_at=timezone.now() - timedelta(days=10))
    return order


def test_what_is_held_on_both_sides_agrees(held):
    assert found() == []


def test_what_the_bank_let_go_is_found_and_undoes_the_order(held):
    attempt = PaymentAttempt.objects.get()
    stripe.cancel(repairs.charge_of(attempt), gateway_id=attempt.gateway_id)

    assert found() == ["unsettled"]
    assert "settled" in mend()

    assert (status_of(held), left("MUG"), found()) == ("expired", (10, 0), [])


def test_another_amount_held_there_than_here_is_for_a_person(held):
    PaymentAttempt.objects.update(amount=F("amount") - 100)

    assert found() == ["unsettled"]
    with pytest.raises(NotRepaired):
        mend()


def test_held_here_and_unknown_there_is_asked_about(held, monkeypatch):
    monkeypatch.setattr(stripe, "charges_since", lambda since: [])

    assert found() == ["missing_charge"]
    assert mend() == "the gateway holds the money after all"


def test_more_taken_there_than_here_goes_back(buy, bank):
    buy()
    PaymentAttempt.objects.update(captured=F("captured") - 100)

    assert found() == ["amount"]
    mend()

    assert Refund.objects.get().amount == 100


def test_less_taken_there_than_here_is_for_a_person(buy):
    buy()
    PaymentAttempt.objects.update(captured=F("captured") + 100)

    assert found() == ["amount"]
    with pytest.raises(NotRepaired):
        mend()
    assert Difference.objects.open().count() == 1


def test_a_refund_made_by_hand_is_written_down(buy, bank):
    buy()
    bank.play("dashboard/refund", intent=PaymentAttempt.objects.get().gateway_id, amount=700)

    assert found() == ["stray_refund"]
    mend()

    assert (Refund.objects.get().amount, found()) == (700, [])


def test_given_back_here_only_can_be_given_again(buy, monkeypatch):
    order = buy()
    refund(order=order, amount=700)
    listed = stripe.refunds_since
    monkeypatch.setattr(settlement, "CLOCKS_DIFFER", timedelta(0))
    monkeypatch.setattr(stripe, "refunds_since", lambda since: [])

    assert found() == ["missing_refund"]
    mend()

    monkeypatch.setattr(stripe, "refunds_since", listed)
    assert (Refund.objects.get().state, PaymentAttempt.objects.get().refunded) == ("failed", 0)


def test_from_a_list_that_breaks_off_nothing_is_concluded(buy, bank):
    buy()
    bank.play("faults", path="list", mode="500_before", times=None)

    with pytest.raises(GatewaySilent):
        settle_books()

    assert not Difference.objects.exists()
