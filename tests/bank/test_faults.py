"""Each fault of the playground once: what the adapter says of it, and that the truth comes out afterwards."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from notifications.deadlines import within
from orders.gateways import stripe as gateway
from orders.gateways.bank.faults import Mode
from orders.gateways.base import GatewaySilent, RefundStatus, Status
from tests.bank.conftest import Bank, a_charge, a_refund

NOTHING_DONE = [Mode.DROP_BEFORE, Mode.HANG_BEFORE, Mode.ERROR_BEFORE, Mode.CONFLICT, Mode.BUSY]
DONE = [Mode.DROP_AFTER, Mode.HANG_AFTER, Mode.ERROR_AFTER, Mode.GARBAGE, Mode.EMPTY, Mode.SLOW_DRIP]


def fail(bank: Bank, path: str, mode: str, times: int | None = 1) -> None:
    assert bank.play("faults", path=path, mode=mode, times=times).status == 200


def let_go_of(mode: Mode) -> None:
    """A request that hangs holds its key until the bank sees that the caller has left."""
    if mode is Mode.HANG_BEFORE:
        time.sleep(0.3)


# -- charges ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "truth"), [(m, Status.NOT_CHARGED) for m in NOTHING_DONE] + [(m, Status.SUCCEEDED) for m in DONE]
)
def test_a_confirm_that_fails_is_unknown_and_then_found(playground: Bank, mode: Mode, truth: Status) -> None:
    request = a_charge()
    fail(playground, "confirm", mode)
    with within(seconds=0.5):
        told = gateway.charge(request)

    assert (told.status, told.amount) == (Status.UNKNOWN, None)
    assert gateway.find(request).status is truth
    assert len(playground.lines(kind="charge")) == (truth is Status.SUCCEEDED)


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode not in (Mode.WRONG_AMOUNT, Mode.WRONG_CURRENCY)])
def test_a_create_that_fails_takes_no_money_and_the_next_try_charges_once(playground: Bank, mode: Mode) -> None:
    request = a_charge(started_at=datetime.now(UTC))
    fail(playground, "create", mode)
    with within(seconds=0.5):
        first = gateway.charge(request)
    let_go_of(mode)
    again = gateway.charge(request)

    # A server error sits under its key for a day; with no intent behind it, nothing is ever charged.
    stuck = mode is Mode.ERROR_BEFORE
    assert first.status is (Status.SUCCEEDED if mode is Mode.ERROR_AFTER else Status.UNKNOWN)
    assert again.status is (Status.UNKNOWN if stuck else Status.SUCCEEDED)
    assert len(playground.lines(kind="charge")) == (0 if stuck else 1)


def test_an_attempt_whose_create_stays_broken_can_be_given_up_after_some_seconds(playground: Bank) -> None:
    request = a_charge(started_at=datetime.now(UTC) - timedelta(seconds=21))
    fail(playground, "create", "500_before")
    first, again = gateway.charge(request), gateway.find(request)

    assert [(told.status, told.gateway_id, told.code) for told in (first, again)] == [
        (Status.NOT_CHARGED, None, "not_opened")
    ] * 2
    assert gateway.cancel(request).status is Status.CANCELLED


def test_an_attempt_whose_create_broke_after_the_intent_was_made_is_found_and_fenced(playground: Bank) -> None:
    request = a_charge(started_at=datetime.now(UTC))
    fail(playground, "create", "500_after")
    found = gateway.find(request)

    assert (found.status, found.gateway_id[:3]) == (Status.NOT_CHARGED, "pi_")
    assert gateway.cancel(request).status is Status.CANCELLED
    assert gateway.charge(request).status is Status.CANCELLED


def test_nobody_is_said_to_be_uncharged_while_the_list_fails_too(playground: Bank) -> None:
    request = a_charge(started_at=datetime.now(UTC) - timedelta(minutes=5))
    fail(playground, "any", "500_before", times=None)

    assert gateway.find(request).status is Status.UNKNOWN
    assert gateway.cancel(request).status is Status.UNKNOWN


@pytest.mark.parametrize(("mode", "money"), [("wrong_amount", (1350, "EUR")), ("wrong_currency", (1250, "USD"))])
@pytest.mark.parametrize("capture_later", [False, True])
def test_wrong_money_is_reported_as_it_was_taken_or_held(
    playground: Bank, mode: str, money: tuple[int, str], capture_later: bool
) -> None:
    request = a_charge(amount=1250, capture_later=capture_later)
    fail(playground, "confirm", mode)
    outcome = gateway.charge(request)

    assert outcome.status is (Status.AUTHORIZED if capture_later else Status.SUCCEEDED)
    assert (outcome.amount, outcome.currency) == money
    assert [(line["amount"], line["currency"]) for line in playground.lines()] == [money]


@pytest.mark.parametrize("mode", NOTHING_DONE + DONE)
def test_a_capture_that_fails_is_unknown_and_takes_the_money_at_most_once(playground: Bank, mode: Mode) -> None:
    request = a_charge(capture_later=True)
    id = gateway.charge(request).gateway_id
    fail(playground, "capture", mode)
    with within(seconds=0.5):
        told = gateway.capture(id)
    let_go_of(mode)

    assert told.status is Status.UNKNOWN
    assert gateway.find(request, id).status is (Status.SUCCEEDED if mode in DONE else Status.AUTHORIZED)
    assert gateway.capture(id).status is Status.SUCCEEDED  # where nothing was done, another try takes it
    assert len(playground.lines(kind="charge")) == 1


@pytest.mark.parametrize("mode", NOTHING_DONE + DONE)
def test_a_cancel_that_fails_is_no_fence_until_it_is_asked_for_again(playground: Bank, mode: Mode) -> None:
    request = a_charge(capture_later=True)
    id = gateway.charge(request).gateway_id
    fail(playground, "cancel", mode)
    with within(seconds=0.5):
        told = gateway.cancel(request, id)

    assert told.status is Status.UNKNOWN
    assert gateway.cancel(request, id).status is Status.CANCELLED


def test_a_look_that_fails_leaves_the_truth_open_each_time_until_the_fault_is_gone(playground: Bank) -> None:
    request = a_charge()
    charged = gateway.charge(request)
    fail(playground, "retrieve", "429", times=None)
    while_failing = [gateway.find(request, charged.gateway_id).status for _ in range(3)]
    fail(playground, "retrieve", "none")

    assert while_failing == [Status.UNKNOWN] * 3
    assert gateway.find(request, charged.gateway_id) == charged


# -- refunds and lists ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", NOTHING_DONE + DONE)
def test_a_refund_that_fails_is_found_afterwards_and_given_once(playground: Bank, mode: Mode) -> None:
    ask = a_refund(gateway.charge(a_charge(amount=1000)).gateway_id, 400)
    fail(playground, "refund", mode)
    with within(seconds=0.5):
        told = gateway.refund(ask)
    let_go_of(mode)
    found, again = gateway.find_refund(ask), gateway.refund(ask)

    # After a server error the list is asked at once.
    assert told.status is (RefundStatus.DONE if mode is Mode.ERROR_AFTER else RefundStatus.UNKNOWN)
    assert found.status is (RefundStatus.DONE if mode in DONE else RefundStatus.NOT_FOUND)
    assert again.status is (RefundStatus.UNKNOWN if mode is Mode.ERROR_BEFORE else RefundStatus.DONE)
    assert len(playground.lines(kind="refund")) == (mode is not Mode.ERROR_BEFORE)


def test_a_refusal_that_is_only_the_echo_of_our_own_refund_is_not_believed(open_bank: Callable[..., Bank]) -> None:
    bank = open_bank("--playground", "--key-life", "0.1")
    ask = a_refund(gateway.charge(a_charge(amount=1000)).gateway_id, 1000)
    fail(bank, "refund", "drop_after")
    assert gateway.refund(ask).status is RefundStatus.UNKNOWN
    time.sleep(0.2)  # the bank has forgotten the key

    assert gateway.refund(ask).status is RefundStatus.DONE
    assert len(bank.lines(kind="refund")) == 1


def test_a_refusal_is_not_believed_while_the_list_is_silent(playground: Bank) -> None:
    ask = a_refund(gateway.charge(a_charge(amount=1000)).gateway_id, 1001)
    fail(playground, "refunds", "500_before")

    assert gateway.refund(ask).status is RefundStatus.UNKNOWN
    assert gateway.refund(ask).status is RefundStatus.FAILED


@pytest.mark.parametrize("mode", [*NOTHING_DONE, Mode.GARBAGE, Mode.EMPTY])
def test_a_list_that_fails_says_so(playground: Bank, mode: Mode) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    id = gateway.charge(a_charge()).gateway_id
    for path, read in (
        ("list", lambda: list(gateway.charges_since(since))),
        ("refunds", lambda: list(gateway.refunds_since(since))),
        ("refunds", lambda: gateway.refunds_of(id)),
    ):
        fail(playground, path, mode)
        with within(seconds=0.5), pytest.raises(GatewaySilent):
            read()


def test_a_list_that_breaks_off_after_its_first_page_is_not_taken_for_whole(playground: Bank) -> None:
    for _ in range(101):
        playground.intent()
    listed = gateway.charges_since(datetime.now(UTC) - timedelta(minutes=1))
    first_page = [next(listed) for _ in range(100)]
    fail(playground, "list", "drop_before")

    with pytest.raises(GatewaySilent):
        next(listed)
    assert len(first_page) == 100


def test_a_list_takes_no_longer_than_its_time(playground: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.gateways.stripe_client.LIST_SECONDS", 0.3)
    fail(playground, "list", "slow_drip")
    began = time.monotonic()

    with pytest.raises(GatewaySilent):
        list(gateway.charges_since(datetime.now(UTC)))
    assert time.monotonic() - began < 0.6


# -- the switches themselves ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("faults", {"path": "nowhere", "mode": "garbage"}),
        ("faults", {"path": "confirm", "mode": "explode"}),
        ("faults", {"path": "confirm"}),
        ("faults", {"path": "refund", "mode": "wrong_amount"}),
        ("faults", {"path": "confirm", "mode": "409", "times": "3"}),
        ("faults", {"path": ["confirm"], "mode": "409"}),
        ("webhooks", {"mode": "sometimes"}),
        ("webhooks", {"mode": "delay", "seconds": "soon"}),
        ("webhooks", {"mode": "duplicate", "copies": -1}),
        ("dashboard/refund", {"intent": "pi_nobody"}),
        ("dashboard/charge", {}),
    ],
)
def test_a_switch_that_is_not_there_is_refused(playground: Bank, path: str, asked: dict) -> None:
    assert playground.play(path, **asked).status == 400
    assert gateway.charge(a_charge()).status is Status.SUCCEEDED


def test_a_fault_comes_as_often_as_it_was_planned(playground: Bank) -> None:
    fail(playground, "retrieve", "429", times=2)
    id = playground.intent()

    assert [playground.call("GET", f"/v1/payment_intents/{id}").status for _ in range(3)] == [429, 429, 200]
    assert playground.play("nothing").status == 404
