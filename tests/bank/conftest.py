"""A real bank process for each test that asks for one, and charges to make at it."""

import http.client
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from config.env import BASE_DIR
from orders.gateways.base import Charge, RefundAsk
from tests.bank.receiver import Receiver

KEY = "sk_test_bank"
STRIPE_TEST_KEY = os.environ.get("STRIPE_TEST_KEY", "")


class Bank:
    """The bank as a process: start, kill, start again on the same port and ledger."""

    def __init__(self, ledger: Path, *options: str) -> None:
        self.ledger = ledger
        self.options = options
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "Bank":
        command = ["-m", "orders.gateways.bank", "--port", str(self.port), "--ledger", str(self.ledger), *self.options]
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().split()[1]
        self.port = urlsplit(self.url).port
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def restart(self) -> None:
        self.kill()
        self.start()

    def lines(self, **wanted: Any) -> list[dict[str, Any]]:
        """The ledger's lines that say all of this."""
        written = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        return [line for line in written if wanted.items() <= line.items()]

    def threads(self) -> int:
        """How many threads it has: one a connection, and a few of its own."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("Threads:")[2].split()[0])

    def call(self, method: str, path: str, form: dict | None = None, **headers: str) -> "Said":
        """One plain HTTP request, as a stranger to the SDK would send it."""
        sent = {"Authorization": f"Bearer {KEY}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(method, path, urlencode(form or {}) if method == "POST" else None, sent)

    def send(self, method: str, path: str, body: str | bytes | None, headers: dict[str, str]) -> "Said":
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Said(answer.status, answer.read(), answer.headers)
        finally:
            connection.close()

    def play(self, path: str, /, **asked: Any) -> "Said":
        """Something only a playground does."""
        return self.send("POST", f"/test/{path}", json.dumps(asked), {})

    def intent(self, **form: Any) -> str:
        """The id of a new intent."""
        fields = {"amount": 1250, "currency": "eur", "metadata[reference]": str(uuid.uuid4())} | form
        return self.call("POST", "/v1/payment_intents", fields).json["id"]

    def confirm(self, id: str, card: str, key: str) -> "Said":
        return self.call("POST", f"/v1/payment_intents/{id}/confirm", {"payment_method": card}, Idempotency_Key=key)


class Said:
    def __init__(self, status: int, body: bytes, headers: Any) -> None:
        self.status = status
        self.text = body.decode()
        self.headers = headers

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str, str | None]:
        told = self.json["error"]
        return self.status, told["type"], told.get("code")


@pytest.fixture
def open_bank(tmp_path: Path, settings: Any) -> Iterator[Callable[..., Bank]]:
    """Starts a bank with options, and makes it the gateway of the shop."""
    banks: list[Bank] = []

    def start(*options: str) -> Bank:
        banks.append(Bank(tmp_path / "bank.jsonl", *options).start())
        use(banks[-1], settings)
        return banks[-1]

    yield start
    for bank in banks:
        bank.kill()


@pytest.fixture
def bank(open_bank: Callable[..., Bank]) -> Bank:
    """A bank of this test's own, with an empty ledger."""
    return open_bank("--late", "1")


@pytest.fixture(scope="session")
def _standing_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    bank = Bank(tmp_path_factory.mktemp("bank") / "bank.jsonl").start()
    yield bank
    bank.kill()


@pytest.fixture
def shared_bank(_standing_bank: Bank, settings: Any) -> Bank:
    """One bank for all tests that neither kill it nor count its ledger: starting one takes a while."""
    use(_standing_bank, settings)
    return _standing_bank


@pytest.fixture(params=["bank", "stripe"] if STRIPE_TEST_KEY else ["bank"])
def behind(request: pytest.FixtureRequest, settings: Any) -> str:
    """Who answers what the adapter asks: always the bank, and Stripe's test mode with STRIPE_TEST_KEY."""
    if request.param == "bank":
        request.getfixturevalue("shared_bank")
    else:
        assert STRIPE_TEST_KEY.startswith(("sk_test_", "rk_test_")), "never with a live key"
        settings.STRIPE_API_BASE, settings.STRIPE_SECRET_KEY = "", STRIPE_TEST_KEY
    return request.param


@pytest.fixture
def playground(open_bank: Callable[..., Bank]) -> Bank:
    """A bank of this test's own whose faults can be switched on."""
    return open_bank("--playground", "--late", "0.3")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def use(bank: Bank, settings: Any) -> None:
    settings.STRIPE_API_BASE, settings.STRIPE_SECRET_KEY = bank.url, KEY


def a_charge(card: str = "pm_card_visa", **changes: Any) -> Charge:
    fields: dict[str, Any] = {
        "reference": str(uuid.uuid4()),
        "amount": 1250,
        "currency": "EUR",
        "payment_method": card,
        "order_number": "WB-7Q2M4K9T",
        "email": "ada@example.org",
    }
    return Charge(**{**fields, **changes})


def a_refund(of: str, amount: int = 400, **changes: Any) -> RefundAsk:
    id = str(uuid.uuid4())
    fields: dict[str, Any] = {
        "id": id,
        "key": id,
        "gateway_id": of,
        "amount": amount,
        "currency": "EUR",
        "reason": "The lid is cracked",
        "asked_at": datetime.now(UTC),
    }
    return RefundAsk(**{**fields, **changes})
