"""What the adapter promises, whoever is behind it: always the bank, and Stripe's test mode with STRIPE_TEST_KEY."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from orders.gateways import stripe as gateway
from orders.gateways.base import Outcome, Status
from tests.bank.conftest import STRIPE_TEST_KEY, a_charge, a_refund

pytestmark = pytest.mark.usefixtures("behind")


@pytest.mark.skipif(
    not STRIPE_TEST_KEY, reason="without STRIPE_TEST_KEY only the bank is asked, not Stripe's test mode"
)
def test_stripe_itself_was_asked() -> None:
    assert STRIPE_TEST_KEY


def taken(outcome: Outcome) -> tuple[Status, int | None, str | None]:
    return outcome.status, outcome.amount, outcome.currency


def test_a_good_card_is_charged_exactly_what_was_asked() -> None:
    outcome = gateway.charge(a_charge(amount=1999))

    assert taken(outcome) == (Status.SUCCEEDED, 1999, "EUR")
    assert outcome.gateway_id.startswith("pi_")


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_refused_card_is_declined_with_a_code_and_words_for_the_buyer(card: str, code: str) -> None:
    outcome = gateway.charge(a_charge(card))

    assert taken(outcome) == (Status.DECLINED, None, None)
    assert outcome.code == code
    assert outcome.message.startswith("Your card")


def test_a_decline_is_found_again_with_its_reason() -> None:
    request = a_charge("pm_card_chargeDeclined")
    declined = gateway.charge(request)

    assert gateway.find(request) == declined


def test_a_card_that_needs_the_buyer_names_the_page_to_go_to() -> None:
    outcome = gateway.charge(a_charge("pm_card_authenticationRequired"))

    assert taken(outcome) == (Status.REQUIRES_ACTION, None, None)
    assert outcome.action_url.startswith("http")


def test_a_card_nobody_knows_is_declined_and_nothing_is_taken() -> None:
    request = a_charge("pm_card_of_nobody")

    assert gateway.charge(request).code == "invalid_payment_method"
    assert gateway.find(request).status is Status.NOT_CHARGED


def test_charging_one_reference_again_takes_no_second_payment() -> None:
    request = a_charge()
    first = gateway.charge(request)

    assert gateway.charge(request) == first


def test_a_charge_is_found_by_its_reference_alone() -> None:
    request = a_charge()
    charged = gateway.charge(request)

    assert gateway.find(request) == charged


def test_a_charge_is_found_by_the_gateways_own_id() -> None:
    request = a_charge()
    charged = gateway.charge(request)

    assert gateway.find(request, gateway_id=charged.gateway_id) == charged


def test_looking_for_a_charge_that_never_was_takes_no_money() -> None:
    request = a_charge()

    assert gateway.find(request).status is Status.NOT_CHARGED
    assert gateway.find(request).status is Status.NOT_CHARGED


def test_a_charge_whose_key_the_gateway_forgot_is_found_in_its_list(monkeypatch: pytest.MonkeyPatch) -> None:
    request = a_charge(started_at=datetime.now(UTC))
    charged = gateway.charge(request)
    monkeypatch.setattr("orders.gateways.stripe_client.KEY_LIFE", timedelta(0))

    assert gateway.find(request) == charged


def test_an_old_attempt_that_reached_nobody_is_not_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    request = a_charge(started_at=datetime.now(UTC) - timedelta(days=2))

    assert gateway.find(request).gateway_id is None
    assert gateway.find(request).status is Status.NOT_CHARGED
    assert gateway.cancel(request).status is Status.CANCELLED


@pytest.mark.parametrize("age", [timedelta(hours=23, minutes=1), timedelta(hours=-1)])
def test_charging_an_attempt_whose_key_may_be_forgotten_only_looks_up(age: timedelta) -> None:
    request = a_charge(started_at=datetime.now(UTC) - age)
    opened = gateway.find(replace(request, started_at=None))

    assert gateway.charge(request).status is not Status.SUCCEEDED
    assert gateway.find(request, gateway_id=opened.gateway_id).status is Status.NOT_CHARGED


def test_what_is_only_looked_up_is_not_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    request = a_charge(started_at=datetime.now(UTC))
    opened = gateway.find(request)
    monkeypatch.setattr("orders.gateways.stripe_client.KEY_LIFE", timedelta(0))

    assert gateway.charge(request) == opened
    assert gateway.find(request, gateway_id=opened.gateway_id).status is Status.NOT_CHARGED


def test_an_attempt_that_starts_in_the_future_is_never_said_to_be_uncharged() -> None:
    request = a_charge(started_at=datetime.now(UTC) + timedelta(hours=1))

    assert gateway.find(request).status is Status.UNKNOWN
    assert gateway.cancel(request).status is Status.UNKNOWN


def test_what_is_cancelled_first_cannot_be_charged_afterwards() -> None:
    request = a_charge()

    assert gateway.cancel(request).status is Status.CANCELLED
    assert gateway.charge(request).status is Status.CANCELLED
    assert gateway.find(request).status is Status.CANCELLED


def test_cancelling_twice_is_cancelled() -> None:
    request = a_charge()
    first = gateway.cancel(request)

    assert gateway.cancel(request, gateway_id=first.gateway_id) == first


def test_cancelling_what_was_charged_says_that_it_was_charged() -> None:
    request = a_charge()
    charged = gateway.charge(request)

    assert gateway.cancel(request) == charged


def test_a_buyer_who_has_not_approved_yet_can_be_cancelled() -> None:
    request = a_charge("pm_card_authenticationRequired")
    asked = gateway.charge(request)

    assert gateway.cancel(request, gateway_id=asked.gateway_id).status is Status.CANCELLED


# -- holding now and taking later -------------------------------------------------------------


def test_what_is_held_is_not_taken_until_it_is_captured_and_then_all_of_it() -> None:
    request = a_charge(amount=1999, capture_later=True)
    held = gateway.charge(request)
    taken_later = gateway.capture(held.gateway_id)

    assert taken(held) == (Status.AUTHORIZED, 1999, "EUR")
    assert taken(taken_later) == (Status.SUCCEEDED, 1999, "EUR")
    assert taken_later.gateway_id == held.gateway_id
    assert gateway.find(request, gateway_id=held.gateway_id) == taken_later


def test_holding_and_capturing_again_change_nothing() -> None:
    request = a_charge(capture_later=True)
    held = gateway.charge(request)

    assert gateway.charge(request) == held
    captured = gateway.capture(held.gateway_id)
    assert gateway.capture(held.gateway_id) == captured


def test_what_is_held_can_be_let_go_and_then_not_be_captured() -> None:
    request = a_charge(capture_later=True)
    held = gateway.charge(request)

    assert gateway.cancel(request, held.gateway_id).status is Status.CANCELLED
    assert taken(gateway.capture(held.gateway_id)) == (Status.CANCELLED, None, None)


def test_what_was_captured_can_not_be_let_go_any_more() -> None:
    request = a_charge(capture_later=True)
    held = gateway.charge(request)
    captured = gateway.capture(held.gateway_id)

    assert gateway.cancel(request, held.gateway_id) == captured


def test_what_was_never_held_cannot_be_captured() -> None:
    request = a_charge("pm_card_chargeDeclined", capture_later=True)
    declined = gateway.charge(request)

    assert gateway.capture(declined.gateway_id) == declined


# -- what the gateway refuses -----------------------------------------------------------------


@pytest.mark.parametrize("amount", [0, -5, 100_000_000])
def test_an_amount_the_gateway_refuses_is_not_charged(amount: int) -> None:
    outcome = gateway.charge(a_charge(amount=amount))

    assert taken(outcome) == (Status.NOT_CHARGED, None, None)
    assert outcome.code


def test_the_same_reference_with_another_amount_is_unknown_and_changes_nothing() -> None:
    request = a_charge()
    charged = gateway.charge(request)
    other = a_charge(reference=request.reference, amount=9900)

    assert gateway.charge(other).status is Status.UNKNOWN
    assert gateway.find(request) == charged


def test_a_wrong_key_of_ours_leaves_the_truth_open(settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "pk_not_a_secret_key"

    assert gateway.charge(a_charge()).status is Status.UNKNOWN


@pytest.mark.parametrize(
    "talk",
    [
        gateway.charge,
        gateway.find,
        gateway.cancel,
        lambda _: gateway.capture("pi_1"),
        lambda _request: gateway.refund(a_refund("pi_1")),
        lambda _request: gateway.find_refund(a_refund("pi_1")),
        lambda _request: gateway.refunds_of("pi_1"),
        lambda _request: list(gateway.charges_since(datetime.now(UTC))),
        lambda _request: list(gateway.refunds_since(datetime.now(UTC))),
    ],
)
def test_no_gateway_call_is_made_inside_a_transaction(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "in_atomic_block", True)

    with pytest.raises(RuntimeError, match="gateway call inside a transaction"):
        talk(a_charge())
