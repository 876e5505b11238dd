"""Whatever comes back over the wire, and however slowly: an Outcome in time, never an exception, never "declined"."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from notifications.deadlines import within
from orders.gateways import stripe as gateway
from orders.gateways.base import GatewaySilent, RefundStatus, Status
from tests.bank.conftest import Bank, a_charge, a_refund


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.fixture
def bad_gateway(settings: Any) -> Iterator[Callable[..., None]]:
    """A gateway that says these bytes to every caller, `pause` seconds between one byte and the next."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{listener.getsockname()[1]}"
    says: list[tuple[bytes, float]] = []

    def serve() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=[caller], daemon=True).start()

    def answer(caller: socket.socket) -> None:
        raw, pause = says[0]
        try:
            with caller:
                caller.recv(65536)
                for piece in [raw] if not pause else [raw[i : i + 1] for i in range(len(raw))]:
                    caller.sendall(piece)
                    time.sleep(pause)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    yield lambda raw, pause=0.0: says.append((raw, pause))
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


INTENT = b'{"id":"pi_1","object":"payment_intent","status":"succeeded"'
ANSWERS = {
    "nothing": b"",
    "not http": b"hello\r\n\r\n",
    "empty": http(b""),
    "html": http(b"<html>502 Bad Gateway</html>", "502 Bad Gateway"),
    "a word": http(b'"ok"'),
    "a list": http(b"[]"),
    "null": http(b"null"),
    "an empty object": http(b"{}"),
    "half an object": http(b'{"id":"pi_1","stat'),
    "not UTF-8": http(b'{"id":"\xff"}'),
    "too deep": http(b"[" * 100_000),
    "error is a word": http(b'{"error":"upstream down"}', "502 Bad Gateway"),
    "error is a list": http(b'{"error":[]}', "400 Bad Request"),
    "rate limit": http(b'{"error":{"type":"invalid_request_error"}}', "429 Too Many Requests"),
    "key in use": http(b'{"error":{"type":"idempotency_error","code":"idempotency_key_in_use"}}', "409 Conflict"),
    "server error": http(b'{"error":{"type":"api_error"}}', "500 Internal Server Error"),
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + INTENT,
    "success without an amount": http(INTENT + b"}"),
    "success with words for an amount": http(INTENT + b',"amount_received":"12.50","currency":"eur"}'),
    "a status from the future": http(b'{"id":"pi_1","object":"payment_intent","status":"teleported"}'),
    "endless": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000,
}


@pytest.mark.parametrize("talk", [gateway.charge, gateway.find, gateway.cancel])
@pytest.mark.parametrize("raw", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_makes_no_sense_leaves_the_truth_open(
    bad_gateway: Callable[..., None], talk: Any, raw: bytes
) -> None:
    bad_gateway(raw)

    outcome = talk(a_charge(), gateway_id="pi_1") if talk is not gateway.charge else talk(a_charge())

    assert (outcome.status, outcome.amount) == (Status.UNKNOWN, None)


@pytest.mark.parametrize("raw", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_makes_no_sense_says_nothing_of_captures_refunds_and_lists(
    bad_gateway: Callable[..., None], raw: bytes
) -> None:
    bad_gateway(raw)
    ask = a_refund("pi_1")

    assert gateway.capture("pi_1").status is Status.UNKNOWN
    assert gateway.refund(ask).status is RefundStatus.UNKNOWN
    assert gateway.find_refund(ask).status is RefundStatus.UNKNOWN
    for read in (gateway.charges_since, gateway.refunds_since):
        with pytest.raises(GatewaySilent):
            list(read(datetime.now(UTC)))


ROWS = {
    "no rows": b"{}",
    "rows are a word": b'{"data":"x","has_more":false}',
    "a row is null": b'{"data":[null],"has_more":false}',
    "a row without an id": b'{"data":[{"status":"succeeded"}],"has_more":false}',
    "a row that is only an id": b'{"data":[{"id":"x_1"}],"has_more":false}',
    "more after nothing": b'{"data":[],"has_more":true}',
}


@pytest.mark.parametrize("body", ROWS.values(), ids=ROWS)
def test_a_list_that_makes_no_sense_is_not_taken_for_the_whole_truth(
    bad_gateway: Callable[..., None], body: bytes
) -> None:
    bad_gateway(http(b'{"object":"list","url":"/v1/x",' + body[1:] if len(body) > 2 else b'{"object":"list"}'))

    for read in (gateway.charges_since, gateway.refunds_since):
        with pytest.raises(GatewaySilent):
            list(read(datetime.now(UTC)))


@pytest.mark.parametrize("raw", [http(b"{" + b" " * 500), b"HTTP/1.1 200 OK\r\nX: " + b"y" * 500], ids=["body", "head"])
def test_an_answer_that_drips_in_is_left_when_the_time_is_up(bad_gateway: Callable[..., None], raw: bytes) -> None:
    bad_gateway(raw, 0.05)
    began = time.monotonic()
    with within(seconds=0.6):
        outcome = gateway.charge(a_charge())

    assert outcome.status is Status.UNKNOWN
    assert time.monotonic() - began < 0.8


def test_both_steps_share_one_deadline(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.gateways.stripe_client.TOTAL_SECONDS", 0.5)
    began = time.monotonic()

    assert gateway.charge(a_charge("pm_bank_slow")).status is Status.UNKNOWN
    assert time.monotonic() - began < 0.8


def test_an_address_where_nobody_listens_leaves_the_truth_open(settings: Any) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    assert gateway.charge(a_charge()).status is Status.UNKNOWN


def test_a_proxy_in_the_environment_is_not_asked_for_the_bank(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert gateway.charge(a_charge()).status is Status.SUCCEEDED


def test_each_thread_keeps_its_connection(bank: Bank) -> None:
    before = bank.threads()
    for _ in range(20):
        gateway.charge(a_charge())

    assert bank.threads() - before <= 1
