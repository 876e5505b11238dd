"""What the adapter promises, whoever is behind it: always the bank, and Stripe's test mode with STRIPE_TEST_KEY."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from orders.gateways import stripe as gateway
from orders.gateways.base import Outcome, Status
from tests.bank.conftest import a_charge

STRIPE_TEST_KEY = os.environ.get("STRIPE_TEST_KEY", "")


@pytest.fixture(params=["bank", "stripe"] if STRIPE_TEST_KEY else ["bank"])
def behind(request: pytest.FixtureRequest, settings: Any) -> str:
    """Who answers."""
    if request.param == "bank":
        request.getfixturevalue("shared_bank")
    else:
        assert STRIPE_TEST_KEY.startswith(("sk_test_", "rk_test_")), "never with a live key"
        settings.STRIPE_API_BASE, settings.STRIPE_SECRET_KEY = "", STRIPE_TEST_KEY
    return request.param


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


@pytest.mark.parametrize("talk", [gateway.charge, gateway.find, gateway.cancel])
def test_no_gateway_call_is_made_inside_a_transaction(talk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "in_atomic_block", True)

    with pytest.raises(RuntimeError, match="gateway call inside a transaction"):
        talk(a_charge())
