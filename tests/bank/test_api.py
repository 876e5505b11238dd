"""The bank as a stranger sees it: keys, refusals, lists, refunds, and garbage."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.env import BASE_DIR
from orders.gateways import stripe as gateway
from orders.gateways.bank.answers import Refusal
from orders.gateways.bank.papers import Intent
from orders.gateways.bank.vault import Vault
from orders.gateways.base import Status
from tests.bank.conftest import KEY, Bank, Said, a_charge


def all_at_once(times: int, call: Callable[[], object]) -> list:
    with ThreadPoolExecutor(times) as pool:
        return [task.result() for task in [pool.submit(call) for _ in range(times)]]


# -- keys -------------------------------------------------------------------------------------


def test_eight_confirms_at_once_under_one_key_are_one_charge(bank: Bank) -> None:
    id = bank.intent()

    said = all_at_once(8, lambda: bank.confirm(id, "pm_bank_slow", "key-1"))

    assert sorted(answer.status for answer in said) == [200] + [409] * 7
    refused = [answer.error for answer in said if answer.status == 409]
    assert refused == [(409, "idempotency_error", "idempotency_key_in_use")] * 7
    assert len(bank.lines(kind="charge")) == 1


def test_eight_confirms_at_once_under_eight_keys_are_one_charge(bank: Bank) -> None:
    id = bank.intent()
    keys = iter([f"key-{n}" for n in range(8)])

    said = all_at_once(8, lambda: bank.confirm(id, "pm_card_visa", next(keys)))

    assert sorted(answer.status for answer in said) == [200] + [400] * 7
    assert len(bank.lines(kind="charge")) == 1


def test_eight_charges_at_once_through_the_adapter_are_one_charge(bank: Bank) -> None:
    request = a_charge()

    outcomes = all_at_once(8, lambda: gateway.charge(request))

    assert {outcome.status for outcome in outcomes} <= {Status.SUCCEEDED, Status.UNKNOWN}
    assert gateway.find(request).status is Status.SUCCEEDED
    assert len(bank.lines(kind="charge")) == 1


def test_an_intent_that_was_paid_is_not_touched_by_another_card(bank: Bank) -> None:
    id = bank.intent()
    bank.confirm(id, "pm_card_visa", "key-1")
    other = bank.confirm(id, "pm_card_chargeDeclined", "key-2")

    assert other.error == (400, "invalid_request_error", "payment_intent_unexpected_state")
    assert bank.call("GET", f"/v1/payment_intents/{id}").json["status"] == "succeeded"
    assert [line["status"] for line in bank.lines()] == ["succeeded"]


def test_the_vault_itself_takes_no_money_twice(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "bank.jsonl", key_life=1)
    intent = Intent("pi_1", 500, "eur", {}, time.time())
    vault.charge(intent)

    with pytest.raises(Refusal):
        vault.charge(intent)
    assert (tmp_path / "bank.jsonl").read_text().count("\n") == 1


def test_a_key_replays_its_first_answer_word_for_word(bank: Bank) -> None:
    id = bank.intent()
    first = bank.confirm(id, "pm_card_chargeDeclined", "key-1")
    again = bank.confirm(id, "pm_card_chargeDeclined", "key-1")

    assert first.error == (402, "card_error", "card_declined")
    assert first.json["error"]["payment_intent"]["id"] == id
    assert (again.status, again.text) == (402, first.text)
    assert (first.headers["Idempotent-Replayed"], again.headers["Idempotent-Replayed"]) == (None, "true")
    assert [line["status"] for line in bank.lines()] == ["declined"]


def test_a_key_is_refused_for_another_request(bank: Bank) -> None:
    id = bank.intent()
    bank.confirm(id, "pm_card_chargeDeclined", "key-1")
    other = bank.confirm(id, "pm_card_visa", "key-1")

    assert other.error == (400, "idempotency_error", None)
    assert bank.lines(status="succeeded") == []


def test_what_was_refused_at_the_door_leaves_its_key_free(bank: Bank) -> None:
    id = bank.intent()
    assert bank.confirm(id, "pm_card_of_nobody", "key-1").error == (400, "invalid_request_error", "resource_missing")

    assert bank.confirm(id, "pm_card_visa", "key-1").json["status"] == "succeeded"


def test_a_forgotten_key_opens_a_second_intent_but_never_charges_one_intent_twice(
    open_bank: Callable[..., Bank],
) -> None:
    bank = open_bank("--key-life", "0.2")
    form = {"amount": 500, "currency": "eur"}
    first = bank.call("POST", "/v1/payment_intents", form, Idempotency_Key="k-create").json["id"]
    bank.confirm(first, "pm_card_visa", "key-1")
    time.sleep(0.3)

    second = bank.call("POST", "/v1/payment_intents", form, Idempotency_Key="k-create").json["id"]
    again = bank.confirm(first, "pm_card_visa", "key-1")

    assert second != first
    assert (again.status, again.json["status"]) == (200, "succeeded")
    assert len(bank.lines(kind="charge")) == 1


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer pk_test_1", "Basic c2tfdGVzdDo=", KEY])
def test_who_brings_no_secret_key_is_turned_away(shared_bank: Bank, header: str) -> None:
    said = shared_bank.send("GET", "/v1/payment_intents", None, {"Authorization": header} if header else {})

    assert said.error == (401, "invalid_request_error", None)


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("", "parameter_invalid_integer"),
        ("12.50", "parameter_invalid_integer"),
        ("1e3", "parameter_invalid_integer"),
        ("٣", "parameter_invalid_integer"),
        ("9" * 5000, "parameter_invalid_integer"),
        ("0", "parameter_invalid_integer"),
        ("-1", "parameter_invalid_integer"),
        ("100000000", "amount_too_large"),
    ],
)
def test_an_amount_out_of_bounds_is_refused(shared_bank: Bank, amount: str, code: str) -> None:
    said = shared_bank.call("POST", "/v1/payment_intents", {"amount": amount, "currency": "eur"})

    assert said.error == (400, "invalid_request_error", code)


@pytest.mark.parametrize("form", [{"amount": 5}, {"currency": "eur"}, {"amount": 5, "currency": "euro"}, {}])
def test_half_an_intent_is_refused(shared_bank: Bank, form: dict) -> None:
    assert shared_bank.call("POST", "/v1/payment_intents", form).status == 400


def test_a_parameter_that_stripe_dropped_is_refused_as_stripe_does(shared_bank: Bank) -> None:
    form = {"amount": 5, "currency": "eur", "payment_method_types[0]": "card"}

    said = shared_bank.call("POST", "/v1/payment_intents", form)

    assert said.error == (400, "invalid_request_error", "payment_method_types_no_longer_supported")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/payment_intents/pi_nobody"),
        ("POST", "/v1/payment_intents/pi_nobody/confirm"),
        ("POST", "/v1/payment_intents/pi_nobody/cancel"),
        ("GET", "/3ds/pi_nobody"),
        ("POST", "/3ds/pi_nobody"),
    ],
)
def test_an_unknown_intent_is_a_404(shared_bank: Bank, method: str, path: str) -> None:
    assert shared_bank.call(method, path).error == (404, "invalid_request_error", "resource_missing")


GARBAGE = [
    b"\x00\xff\xfe%zz\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /v1/payment_intents HTTP/9.9\r\n\r\n",
    b"DELETE /v1/payment_intents HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nAuthorization: Bearer sk_1\r\n\r\n",
    b"GET //[ HTTP/1.1\r\nAuthorization: Bearer sk_1\r\n\r\n",
    b"GET /v1/payment_intents?limit=%00&created[gte]=x HTTP/1.1\r\nAuthorization: Bearer sk_1\r\n\r\n",
    b"GET /v1/payment_intents?limit=1000 HTTP/1.1\r\nAuthorization: Bearer sk_1\r\n\r\n",
    b"POST /v1/payment_intents HTTP/1.1\r\nAuthorization: Bearer sk_1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/payment_intents HTTP/1.1\r\nAuthorization: Bearer sk_1\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /v1/payment_intents HTTP/1.1\r\nAuthorization: Bearer sk_1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/payment_intents HTTP/1.1\r\nAuthorization: Bearer sk_1\r\nContent-Length: 9\r\n\r\n\xff[[]]=&=;%",
    b"POST /v1/payment_intents HTTP/1.1\r\nAuthorization: Bearer sk_1\r\nContent-Length: 600\r\n\r\n" + b"a&" * 300,
    b"POST /v1/refunds HTTP/1.1\r\nAuthorization: Bearer sk_1\r\nIdempotency-Key: "
    + b"k" * 300
    + b"\r\nContent-Length: 0\r\n\r\n",
    b"POST /v1/refunds HTTP/1.1\r\nAuthorization: Bearer sk_1\r\nContent-Length: 18\r\n\r\npayment_intent=pi_x",
    "GET /v1/payment_intents/ä☃ HTTP/1.1\r\nAuthorization: Bearer sk_1\r\n\r\n".encode(),
]


@pytest.mark.parametrize("raw", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_refused_and_breaks_nothing(shared_bank: Bank, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared_bank.port), timeout=5) as wire:
        wire.sendall(raw)
        wire.shutdown(socket.SHUT_WR)
        said = wire.makefile("rb").read()

    assert b"error" in said
    assert not said.startswith(b"HTTP/1.1 5")
    assert gateway.charge(a_charge()).status is Status.SUCCEEDED


# -- lists and refunds ------------------------------------------------------------------------


def test_intents_are_listed_newest_first_page_by_page(bank: Bank) -> None:
    ids = [bank.intent() for _ in range(5)]
    first = bank.call("GET", "/v1/payment_intents?limit=3").json
    rest = bank.call("GET", f"/v1/payment_intents?limit=3&starting_after={first['data'][-1]['id']}").json

    assert [intent["id"] for intent in first["data"] + rest["data"]] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_the_list_can_be_cut_by_date(bank: Bank) -> None:
    bank.intent()
    now = int(time.time())

    assert bank.call("GET", f"/v1/payment_intents?created[gte]={now + 60}").json["data"] == []
    assert len(bank.call("GET", f"/v1/payment_intents?created[gte]={now - 60}").json["data"]) == 1
    assert bank.call("GET", f"/v1/payment_intents?created[lte]={now - 60}").json["data"] == []


def refunding(bank: Bank, id: str | None, key: str, **form: object) -> Said:
    return bank.call("POST", "/v1/refunds", {"payment_intent": id, **form}, Idempotency_Key=key)


def test_no_more_is_given_back_than_was_taken(bank: Bank) -> None:
    id = gateway.charge(a_charge(amount=1000)).gateway_id
    some = refunding(bank, id, "r-1", amount=400, reason="requested_by_customer")
    too_much = refunding(bank, id, "r-2", amount=601)
    rest = refunding(bank, id, "r-3")
    none_left = refunding(bank, id, "r-4")

    assert (some.json["amount"], rest.json["amount"]) == (400, 600)
    assert too_much.error == (400, "invalid_request_error", "amount_too_large")
    assert none_left.error == (400, "invalid_request_error", "charge_already_refunded")
    assert [(line["key"], line["amount"]) for line in bank.lines(kind="refund")] == [("r-1", 400), ("r-3", 600)]
    listed = bank.call("GET", f"/v1/refunds?payment_intent={id}").json["data"]
    assert [refund["id"] for refund in listed] == [rest.json["id"], some.json["id"]]


def test_one_refund_asked_eight_times_at_once_is_given_once(bank: Bank) -> None:
    id = gateway.charge(a_charge(amount=1000)).gateway_id

    all_at_once(8, lambda: refunding(bank, id, "r-1", amount=300))

    assert [line["amount"] for line in bank.lines(kind="refund")] == [300]


def test_a_void_is_written_only_when_something_changed(bank: Bank) -> None:
    id = bank.intent()
    first = bank.call("POST", f"/v1/payment_intents/{id}/cancel", Idempotency_Key="v-1")
    again = bank.call("POST", f"/v1/payment_intents/{id}/cancel", Idempotency_Key="v-2")

    assert first.json["status"] == "canceled"
    assert again.error == (400, "invalid_request_error", "payment_intent_unexpected_state")
    assert [(line["kind"], line["key"], line["id"]) for line in bank.lines()] == [("void", "v-1", id)]


# -- the process ------------------------------------------------------------------------------


def test_the_bank_needs_neither_django_nor_the_sdk() -> None:
    code = (
        "import sys, orders.gateways.bank.__main__; print(sorted({'django', 'stripe', 'structlog'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, capture_output=True, text=True, check=True)

    assert said.stdout == "[]\n"
