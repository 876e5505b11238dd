"""The cards only the bank has: what goes wrong between a shop and its payment service, on request."""

import time
from collections.abc import Callable

import pytest

from notifications.deadlines import within
from orders.gateways import stripe as gateway
from orders.gateways.base import Status
from tests.bank.conftest import Bank, a_charge


def test_a_slow_bank_is_waited_for(bank: Bank) -> None:
    began = time.monotonic()
    outcome = gateway.charge(a_charge("pm_bank_slow"))

    assert outcome.status is Status.SUCCEEDED
    assert 3 <= time.monotonic() - began < 5


def test_a_bank_that_never_answers_is_left_in_time(bank: Bank) -> None:
    began = time.monotonic()
    with within(seconds=0.5):
        outcome = gateway.charge(a_charge("pm_bank_timeout_before_charge"))

    assert (outcome.status, outcome.amount) == (Status.UNKNOWN, None)
    assert outcome.gateway_id is not None
    assert time.monotonic() - began < 0.8


def test_a_time_out_before_the_charge_charged_nothing_and_can_be_fenced(bank: Bank) -> None:
    request = a_charge("pm_bank_timeout_before_charge")
    with within(seconds=0.5):
        gateway.charge(request)

    assert gateway.find(request).status is Status.NOT_CHARGED
    assert gateway.cancel(request).status is Status.CANCELLED
    assert bank.lines(kind="charge") == []


@pytest.mark.parametrize("card", ["pm_bank_timeout_after_charge", "pm_bank_error_after_charge"])
def test_a_charge_whose_answer_was_lost_is_unknown_then_found_and_taken_once(bank: Bank, card: str) -> None:
    request = a_charge(card)
    with within(seconds=0.5):
        told = gateway.charge(request)

    found = gateway.find(request)

    assert told.status is Status.UNKNOWN
    assert (found.status, found.amount, found.gateway_id) == (Status.SUCCEEDED, 1250, told.gateway_id)
    assert len(bank.lines(kind="charge", reference=request.reference, status="succeeded")) == 1


def test_the_error_after_a_charge_is_replayed_for_its_key_and_charges_once(bank: Bank) -> None:
    id = bank.intent()
    first = bank.confirm(id, "pm_bank_error_after_charge", "key-1")
    again = bank.confirm(id, "pm_bank_error_after_charge", "key-1")

    assert first.error == (500, "api_error", None)
    assert (again.error, again.text) == (first.error, first.text)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(bank.lines(kind="charge")) == 1


def test_a_late_success_cannot_be_cancelled_and_comes(bank: Bank) -> None:
    request = a_charge("pm_bank_late_success")
    with within(seconds=0.3):
        assert gateway.charge(request).status is Status.UNKNOWN

    assert gateway.find(request).status is Status.UNKNOWN
    assert gateway.cancel(request).status is Status.UNKNOWN
    time.sleep(1)
    assert gateway.find(request).status is Status.SUCCEEDED
    assert len(bank.lines(kind="charge")) == 1


def test_a_late_success_comes_even_if_the_bank_died_meanwhile(open_bank: Callable[..., Bank]) -> None:
    bank = open_bank("--late", "1.5")
    request = a_charge("pm_bank_late_success")
    with within(seconds=0.3):
        gateway.charge(request)
    bank.restart()

    assert gateway.find(request).status is Status.UNKNOWN
    time.sleep(1.6)
    assert gateway.find(request).status is Status.SUCCEEDED
    assert len(bank.lines(kind="charge")) == 1


def test_a_wrong_amount_is_reported_as_it_was_taken(bank: Bank) -> None:
    outcome = gateway.charge(a_charge("pm_bank_wrong_amount", amount=1250))

    assert (outcome.status, outcome.amount) == (Status.SUCCEEDED, 1350)
    assert [line["amount"] for line in bank.lines()] == [1350]


def test_whoever_cancels_while_a_slow_charge_waits_wins(bank: Bank) -> None:
    id = bank.intent()
    with within(seconds=0.3):
        request = a_charge("pm_bank_slow")
        gateway.charge(request)

    assert gateway.cancel(request).status is Status.CANCELLED
    time.sleep(3)
    assert bank.lines(kind="charge") == []
    assert bank.call("GET", f"/v1/payment_intents/{id}").json["status"] == "requires_payment_method"


def test_the_bank_holds_no_thread_for_callers_who_have_left(bank: Bank) -> None:
    before = bank.threads()
    for _ in range(5):
        with within(seconds=0.1):
            gateway.charge(a_charge("pm_bank_timeout_before_charge"))
    time.sleep(0.3)

    assert bank.threads() <= before + 1
