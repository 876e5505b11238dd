"""Kill the bank anywhere: what its ledger says still holds, and nothing is charged twice."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orders.gateways import stripe as gateway
from orders.gateways.bank import files
from orders.gateways.base import Charge, Outcome, RefundStatus, Status
from tests.bank.conftest import Bank, a_charge, a_refund


def test_a_bank_that_is_down_leaves_the_truth_open_and_serves_again_after_its_restart(bank: Bank) -> None:
    request = a_charge()
    assert gateway.charge(a_charge()).status is Status.SUCCEEDED  # the connection is kept
    bank.kill()
    assert gateway.charge(request).status is Status.UNKNOWN
    bank.start()

    assert gateway.charge(request).status is Status.SUCCEEDED


def test_a_kept_connection_to_a_bank_that_died_is_not_mistaken_for_an_unknown_charge(bank: Bank) -> None:
    gateway.charge(a_charge())
    bank.restart()

    assert gateway.charge(a_charge()).status is Status.SUCCEEDED


def test_an_intent_survives_a_kill_between_its_two_steps(bank: Bank) -> None:
    request = a_charge()
    opened = gateway.find(request)
    bank.restart()

    charged = gateway.charge(request)

    assert (charged.status, charged.gateway_id) == (Status.SUCCEEDED, opened.gateway_id)


def test_answers_of_keys_survive_a_kill(bank: Bank) -> None:
    id = bank.intent()
    first = bank.confirm(id, "pm_bank_error_after_charge", "key-1")
    bank.restart()
    again = bank.confirm(id, "pm_bank_error_after_charge", "key-1")

    assert (again.status, again.text) == (500, first.text)
    assert len(bank.lines(kind="charge")) == 1


def test_a_charge_is_known_from_the_ledger_alone(bank: Bank) -> None:
    request = a_charge(amount=777)
    charged = gateway.charge(request)
    bank.kill()
    bank.ledger.with_name("bank.jsonl.state.jsonl").unlink()
    bank.start()

    assert gateway.find(request, gateway_id=charged.gateway_id) == charged


def test_a_charge_on_the_ledger_that_nothing_else_recorded_is_not_made_again(bank: Bank) -> None:
    id = bank.intent()
    journal = bank.ledger.with_name("bank.jsonl.state.jsonl")
    before = journal.read_bytes()
    bank.confirm(id, "pm_card_visa", "key-1")
    bank.kill()
    journal.write_bytes(before)  # as if the kill had come right after the ledger's line
    bank.start()

    again = bank.confirm(id, "pm_card_visa", "key-1")
    other = bank.confirm(id, "pm_card_visa", "key-2")

    assert (again.status, again.json["status"]) == (200, "succeeded")
    assert other.error == (400, "invalid_request_error", "payment_intent_unexpected_state")
    assert len(bank.lines(kind="charge")) == 1


def test_a_fence_and_a_refund_survive_a_kill(bank: Bank) -> None:
    fenced, paid = a_charge(), a_charge()
    gateway.cancel(fenced)
    charged = gateway.charge(paid)
    bank.call("POST", "/v1/refunds", {"payment_intent": charged.gateway_id, "amount": 1000})
    bank.restart()

    over = bank.call("POST", "/v1/refunds", {"payment_intent": charged.gateway_id, "amount": 251})
    rest = bank.call("POST", "/v1/refunds", {"payment_intent": charged.gateway_id})

    assert gateway.charge(fenced).status is Status.CANCELLED
    assert over.error == (400, "invalid_request_error", "amount_too_large")
    assert rest.json["amount"] == 250


def test_a_line_torn_by_a_power_cut_is_cut_off(bank: Bank) -> None:
    request = a_charge()
    charged = gateway.charge(request)
    bank.kill()
    with bank.ledger.open("a") as ledger:
        ledger.write('{"at":"2026-01-0')
    bank.start()

    assert gateway.find(request, gateway_id=charged.gateway_id) == charged
    assert len(bank.lines()) == 1


@pytest.mark.crash
def test_kills_in_the_middle_of_the_traffic_lose_and_double_nothing(bank: Bank) -> None:
    told: list[tuple[Charge, Outcome]] = []
    stop = threading.Event()

    def buy() -> None:
        while not stop.is_set():
            request = a_charge()
            told.append((request, gateway.charge(request)))
            time.sleep(0.005)

    buyers = [threading.Thread(target=buy) for _ in range(6)]
    for buyer in buyers:
        buyer.start()
    for pause in (0.2, 0.05, 0.3, 0.11, 0.23):
        time.sleep(pause)
        bank.restart()
    time.sleep(0.2)
    stop.set()
    for buyer in buyers:
        buyer.join()

    taken = [line["reference"] for line in bank.lines(kind="charge", status="succeeded")]
    assert len(taken) == len(set(taken))
    paid = {request.reference for request, outcome in told if outcome.status is Status.SUCCEEDED}
    assert paid <= set(taken)
    assert {outcome.status for _, outcome in told} == {Status.SUCCEEDED, Status.UNKNOWN}
    for request in [request for request, outcome in told if outcome.status is Status.UNKNOWN]:
        expected = Status.SUCCEEDED if request.reference in taken else Status.NOT_CHARGED
        assert gateway.find(request).status is expected


def test_the_ledgers_line_is_on_disk_before_the_bank_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    path = tmp_path / "bank.jsonl"
    monkeypatch.setattr(files.os, "fsync", lambda _file: synced.append(path.read_text()))

    files.Ledger(path).write(
        kind="charge", key="k", reference="r", amount=5, currency="EUR", status="succeeded", id="pi_1"
    )

    assert synced == [path.read_text()]
    assert path.read_text().count("\n") == 1


def test_the_ledgers_line_is_there_when_the_answer_is(bank: Bank) -> None:
    for _ in range(20):
        request = a_charge()
        gateway.charge(request)
        (line,) = bank.lines(reference=request.reference)
        assert line | {"at": "", "id": ""} == {
            "at": "",
            "kind": "charge",
            "key": request.reference,
            "reference": request.reference,
            "amount": 1250,
            "currency": "EUR",
            "status": "succeeded",
            "id": "",
        }


def test_a_second_bank_on_the_same_ledger_refuses_to_start(bank: Bank) -> None:
    second = Bank(bank.ledger)
    with pytest.raises(IndexError):  # it printed no address
        second.start()

    assert second.process.wait(timeout=5) == 2
    assert "Another bank writes" in second.process.stderr.read()
    second.kill()


def test_money_that_is_held_is_known_from_the_ledger_alone_and_can_be_taken(bank: Bank) -> None:
    request, let_go = a_charge(capture_later=True), a_charge(capture_later=True)
    held, free = gateway.charge(request), gateway.charge(let_go)
    gateway.cancel(let_go, free.gateway_id)
    bank.kill()
    bank.ledger.with_name("bank.jsonl.state.jsonl").unlink()
    bank.start()

    assert [line["kind"] for line in bank.lines()] == ["authorize", "authorize", "void"]
    assert gateway.find(request, held.gateway_id) == held
    assert gateway.find(let_go, free.gateway_id).status is Status.CANCELLED
    captured = gateway.capture(held.gateway_id)
    assert (captured.status, captured.amount) == (Status.SUCCEEDED, 1250)
    assert len(bank.lines(kind="charge")) == 1


@pytest.mark.parametrize("verb", ["refund", "capture"])
def test_what_is_on_the_ledger_is_not_done_again_when_a_crash_took_the_answer_of_its_key(bank: Bank, verb: str) -> None:
    request = a_charge(capture_later=verb == "capture")
    id = gateway.charge(request).gateway_id
    ask = a_refund(id, 300)
    act = {"refund": lambda: gateway.refund(ask), "capture": lambda: gateway.capture(id)}[verb]
    journal = bank.ledger.with_name("bank.jsonl.state.jsonl")
    first = act()
    bank.kill()
    kept = [line for line in journal.read_text().splitlines(keepends=True) if not line.startswith('{"key"')]
    journal.write_text("".join(kept))
    before = len(bank.lines())
    bank.start()

    assert act() == first
    assert len(bank.lines()) == before


def test_a_slow_refund_arrives_even_if_the_bank_died_meanwhile(open_bank: Callable[..., Bank]) -> None:
    bank = open_bank("--late", "1")
    ask = a_refund(gateway.charge(a_charge("pm_card_pendingRefund")).gateway_id)
    assert gateway.refund(ask).status is RefundStatus.PENDING
    bank.restart()

    assert gateway.find_refund(ask).status is RefundStatus.PENDING
    time.sleep(1.2)
    assert gateway.find_refund(ask).status is RefundStatus.DONE
    bank.restart()
    assert gateway.find_refund(ask).status is RefundStatus.DONE
    assert [line["status"] for line in bank.lines(kind="refund")] == ["pending", "succeeded"]
