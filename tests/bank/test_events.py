"""What the bank's events say in the port's words, for each thing that can happen to a charge or a refund."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orders.gateways import stripe as gateway
from orders.gateways.base import ListedRefund, RefundStatus, Status, Told
from tests.bank.conftest import Bank, a_charge, a_refund


def events(bank: Bank, *, after: int = 0) -> list[Told]:
    """What the bank has to tell, oldest first."""
    return [gateway.told(event) for event in bank.play("events").json["events"]][after:]


def types(bank: Bank) -> list[str]:
    return [event.type for event in events(bank)]


def wait_for(bank: Bank, type: str) -> Told:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        found = [event for event in events(bank) if event.type == type]
        if found:
            return found[-1]
        time.sleep(0.02)
    raise AssertionError(f"no {type} among {types(bank)}")


def test_a_charge_is_told_as_it_was_answered(playground: Bank) -> None:
    request = a_charge()
    outcome = gateway.charge(request)
    (event,) = events(playground)

    assert (event.type, event.kind) == ("payment_intent.succeeded", "charge")
    assert (event.reference, event.gateway_id, event.outcome) == (request.reference, outcome.gateway_id, outcome)
    assert event.event_id.startswith("evt_")
    assert event.created is not None
    assert event.refund is None


@pytest.mark.parametrize(
    ("card", "type", "status"),
    [
        ("pm_card_chargeDeclined", "payment_intent.payment_failed", Status.DECLINED),
        ("pm_card_authenticationRequired", "payment_intent.requires_action", Status.REQUIRES_ACTION),
    ],
)
def test_what_keeps_a_charge_from_being_made_is_told(playground: Bank, card: str, type: str, status: Status) -> None:
    outcome = gateway.charge(a_charge(card))
    (event,) = events(playground)

    assert (event.type, event.outcome) == (type, outcome)
    assert outcome.status is status


def test_holding_capturing_and_letting_go_are_told(playground: Bank) -> None:
    captured, let_go = a_charge(capture_later=True), a_charge(capture_later=True)
    first, second = gateway.charge(captured), gateway.charge(let_go)
    gateway.capture(first.gateway_id)
    gateway.cancel(let_go, second.gateway_id)

    told = [(event.type, event.reference, event.outcome.status) for event in events(playground) if event.outcome]

    assert told == [
        ("payment_intent.amount_capturable_updated", captured.reference, Status.AUTHORIZED),
        ("payment_intent.amount_capturable_updated", let_go.reference, Status.AUTHORIZED),
        ("payment_intent.succeeded", captured.reference, Status.SUCCEEDED),
        ("payment_intent.canceled", let_go.reference, Status.CANCELLED),
    ]


def test_a_refund_is_told_itself_and_by_its_charge(playground: Bank) -> None:
    request = a_charge()
    id = gateway.charge(request).gateway_id
    ask = a_refund(id, 400)
    given = gateway.refund(ask)
    refund, charge = events(playground, after=1)

    assert (refund.type, refund.kind, refund.gateway_id) == ("refund.created", "refund", id)
    assert refund.refund == gateway.refunds_of(id)[0]
    assert (refund.refund.gateway_id, refund.refund.refund) == (given.gateway_id, ask.id)
    assert (charge.type, charge.kind, charge.gateway_id) == ("charge.refunded", "refund", id)
    assert (charge.reference, charge.refund) == (request.reference, None)


def test_a_slow_refund_is_pending_until_it_is_told_to_be_done(playground: Bank) -> None:
    ask = a_refund(gateway.charge(a_charge("pm_card_pendingRefund")).gateway_id)
    first = gateway.refund(ask)
    event = wait_for(playground, "refund.updated")

    assert first.status is RefundStatus.PENDING
    assert event.refund.status is RefundStatus.DONE
    assert gateway.find_refund(ask).status is RefundStatus.DONE
    assert [line["status"] for line in playground.lines(kind="refund")] == ["pending", "succeeded"]
    assert len({line["id"] for line in playground.lines(kind="refund")}) == 1


def test_a_refund_that_comes_back_is_told_and_its_money_can_be_given_back_again(playground: Bank) -> None:
    id = gateway.charge(a_charge("pm_card_refundFail", amount=1000)).gateway_id
    ask = a_refund(id, 1000)
    first = gateway.refund(ask)
    over = gateway.refund(a_refund(id, 1))
    event = wait_for(playground, "refund.failed")

    assert (first.status, over.status) == (RefundStatus.DONE, RefundStatus.FAILED)
    assert (event.refund.refund, event.refund.status, event.refund.code) == (ask.id, RefundStatus.FAILED, "unknown")
    assert gateway.find_refund(ask).status is RefundStatus.FAILED
    assert playground.lines(kind="refund", status="succeeded") == []
    assert [charge.refunded for charge in gateway.charges_since(datetime.now(UTC) - timedelta(minutes=1))] == [0]
    assert gateway.refund(a_refund(id, 1000)).status is RefundStatus.DONE


def test_a_refund_made_by_hand_carries_no_id_of_ours(playground: Bank) -> None:
    id = gateway.charge(a_charge(amount=1000)).gateway_id
    some = playground.play("dashboard/refund", intent=id, amount=300)
    rest = playground.play("dashboard/refund", intent=id)
    over = playground.play("dashboard/refund", intent=id, amount=1)

    assert [(refund.amount, refund.refund) for refund in gateway.refunds_of(id)] == [(700, ""), (300, "")]
    assert (some.status, rest.status, over.status) == (200, 200, 400)
    told = [event.refund.amount for event in events(playground) if event.refund]
    assert told == [300, 700]


@pytest.mark.parametrize("card", ["pm_card_chargeDeclined", "pm_card_authenticationRequired"])
def test_money_may_be_taken_after_we_called_it_off(playground: Bank, card: str) -> None:
    request = a_charge(card)
    id = gateway.charge(request).gateway_id
    assert gateway.cancel(request, id).status is Status.CANCELLED
    taken = playground.play("dashboard/charge", intent=id)

    assert taken.status == 200
    assert gateway.find(request, id).status is Status.SUCCEEDED
    assert wait_for(playground, "payment_intent.succeeded").reference == request.reference
    assert playground.play("dashboard/charge", intent=id).status == 400
    assert len(playground.lines(kind="charge", status="succeeded")) == 1
    playground.restart()
    assert gateway.find(request, id).status is Status.SUCCEEDED


REFUND = {"id": "re_1", "object": "refund", "amount": 5, "currency": "eur", "created": 1, "payment_intent": "pi_1"}


def of(subject: dict[str, Any], **changes: Any) -> Told:
    return gateway.told({"id": "evt_1", "type": "x.y", "created": 1, "data": {"object": {**subject, **changes}}})


@pytest.mark.parametrize(
    "change", [{"amount": "5"}, {"amount": True}, {"created": 10**20}, {"currency": 5}, {"id": None}]
)
def test_a_refund_that_makes_no_sense_is_a_reason_to_ask(change: dict[str, Any]) -> None:
    event = of(REFUND, **change)

    assert (event.kind, event.gateway_id, event.refund) == ("refund", "pi_1", None)


def test_a_refund_may_bring_its_charge_written_out() -> None:
    event = of(REFUND, payment_intent={"id": "pi_2"}, status="canceled")

    assert isinstance(event.refund, ListedRefund)
    assert (event.gateway_id, event.refund.intent_id, event.refund.status) == ("pi_2", "pi_2", RefundStatus.FAILED)


@pytest.mark.parametrize("object", ["customer", "charge", "", None])
def test_what_concerns_neither_charge_nor_refund_is_other(object: Any) -> None:
    event = of({"id": "x"}, object=object)

    assert (event.kind, event.outcome, event.refund) == ("other", None, None)


def test_a_status_from_the_future_leaves_the_truth_open() -> None:
    assert of({"id": "pi_1", "object": "payment_intent", "status": "teleported"}).outcome.status is Status.UNKNOWN
    assert of(REFUND, status="teleported").refund.status is RefundStatus.UNKNOWN


def test_the_bank_has_a_playground_only_when_told_to(open_bank: Callable[..., Bank]) -> None:
    bank = open_bank()

    assert bank.play("faults", path="confirm", mode="garbage").status == 401
    assert bank.call("POST", "/test/faults").status == 404
