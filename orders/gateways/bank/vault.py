"""The money: which intents there are and what became of them, rebuilt from the files at each start.

The ledger decides. The journal beside it (`<ledger>.state.jsonl`) only adds what no money has moved for yet:
intents, refund details, answers of idempotency keys. Kill the bank anywhere; what the ledger says still holds.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from orders.gateways.bank.answers import Refusal, no_such
from orders.gateways.bank.cards import DECLINE_MESSAGES
from orders.gateways.bank.files import Ledger, LineFile, Record
from orders.gateways.bank.keys import Keys

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELLABLE = CONFIRMABLE


@dataclass
class Intent:
    """One wish to be paid; money moves at most once on it. Change it only while holding its lock."""

    id: str
    amount: int
    currency: str
    metadata: dict[str, str]
    created: float
    status: str = "requires_payment_method"
    payment_method: str = ""
    description: str = ""
    amount_received: int = 0
    error: dict[str, str] | None = None
    return_url: str = ""
    key: str = ""  # of the request that confirmed it last
    due: float = 0  # when a late charge happens
    cancelled: float = 0
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    @property
    def reference(self) -> str:
        return self.metadata.get("reference", "")

    def record(self) -> Record:
        return {"intent": {name: value for name, value in vars(self).items() if name != "lock"}}


@dataclass(frozen=True)
class Refund:
    """Money given back."""

    id: str
    intent: str
    amount: int
    currency: str
    reason: str
    metadata: dict[str, str]
    created: float


class Vault:
    """All intents and refunds, and the only hand that writes the ledger."""

    def __init__(self, path: Path, *, key_life: float) -> None:
        """Open the ledger and its journal. Raises AlreadyOpen when another bank has them."""
        self._ledger = Ledger(path)
        self._journal = LineFile(path.with_name(path.name + ".state.jsonl"))
        self._intents: dict[str, Intent] = {}
        self._refunds: dict[str, Refund] = {}
        self.keys = Keys(life=key_life, journal=lambda record: self._journal.append(record, durable=False))
        self._restore()

    # -- asking -------------------------------------------------------------------------------

    def intent(self, id: str, *, param: str = "intent", status: int = 404) -> Intent:
        """The intent of this id. Raises Refusal when there is none."""
        found = self._intents.get(id)
        if found is None:
            raise no_such("payment_intent", id, param=param, status=status)
        return found

    def intents(self) -> list[Intent]:
        """Newest first."""
        return list(reversed(self._intents.values()))

    def refunds(self) -> list[Refund]:
        """Newest first."""
        return list(reversed(self._refunds.values()))

    def refunded(self, intent: Intent) -> int:
        return sum(refund.amount for refund in self.refunds() if refund.intent == intent.id)

    # -- moving -------------------------------------------------------------------------------

    def open(self, intent: Intent) -> None:
        """Take a new intent in."""
        self.save(intent)
        self._intents[intent.id] = intent

    def save(self, intent: Intent) -> None:
        self._journal.append(intent.record(), durable=False)

    def charge(self, intent: Intent, *, surcharge: int = 0) -> None:
        """Take the money: ledger first, then everything that tells of it.

        Raises Refusal when the money was already taken or the intent was cancelled.
        """
        with intent.lock:
            if intent.status in ("succeeded", "canceled"):
                raise unexpected_state(intent, "confirm")
            taken = intent.amount + surcharge
            self._write(intent, kind="charge", amount=taken, status="succeeded")
            intent.status, intent.amount_received, intent.error = "succeeded", taken, None
            self.save(intent)

    def decline(self, intent: Intent, *, code: str, decline_code: str) -> None:
        """Refuse the card, on the ledger too; another card may be tried."""
        with intent.lock:
            self._write(intent, kind="charge", amount=intent.amount, status="declined")
            intent.status = "requires_payment_method"
            intent.error = {
                "type": "card_error",
                "code": code,
                "decline_code": decline_code,
                "message": DECLINE_MESSAGES[decline_code],
            }
            self.save(intent)

    def void(self, intent: Intent, *, key: str) -> None:
        """Make sure that nothing is ever charged. Raises Refusal when it is too late or already done."""
        with intent.lock:
            if intent.status not in CANCELLABLE:
                raise unexpected_state(intent, "cancel")
            self._write(intent, kind="void", amount=intent.amount, status="succeeded", key=key)
            intent.status, intent.cancelled = "canceled", time.time()
            self.save(intent)

    def refund(self, intent: Intent, *, amount: int | None, reason: str, metadata: dict[str, str], key: str) -> Refund:
        """Give back `amount`, or all that is left. Raises Refusal rather than give back more than was taken."""
        with intent.lock:
            left = intent.amount_received - self.refunded(intent)
            wanted = left if amount is None else amount
            if left <= 0:
                raise Refusal(400, "There is nothing left to refund.", code="charge_already_refunded")
            if wanted > left:
                raise Refusal(400, f"Only {left} is left to refund.", code="amount_too_large", param="amount")
            made = Refund(new_id("re"), intent.id, wanted, intent.currency, reason, metadata, time.time())
            self._journal.append({"refund": vars(made)}, durable=False)
            self._write(intent, kind="refund", amount=wanted, status="succeeded", key=key, id=made.id)
            self._refunds[made.id] = made
            return made

    def _write(
        self, intent: Intent, *, kind: str, amount: int, status: str, key: str | None = None, id: str | None = None
    ) -> None:
        self._ledger.write(
            kind=kind,
            key=intent.key if key is None else key,
            reference=intent.reference,
            amount=amount,
            currency=intent.currency.upper(),
            status=status,
            id=id or intent.id,
        )

    # -- starting -----------------------------------------------------------------------------

    def _restore(self) -> None:
        planned: dict[str, Refund] = {}
        for record in self._journal.records():
            if "intent" in record:
                intent = Intent(**record["intent"])
                self._intents[intent.id] = intent
            elif "refund" in record:
                planned[record["refund"]["id"]] = Refund(**record["refund"])
            else:
                self.keys.restore(record["key"])
        for line in self._ledger.records():
            self._believe(line, planned)
        self._journal.replace(self._living())

    def _believe(self, line: Record, planned: dict[str, Refund]) -> None:
        if line["kind"] == "refund":
            self._refunds[line["id"]] = planned.get(line["id"]) or self._refund_of(line)
            return
        intent = self._intents.setdefault(line["id"], _intent_of(line))
        if line["kind"] == "void":
            intent.status, intent.cancelled = "canceled", intent.cancelled or _seconds(line)
        elif line["status"] == "succeeded":
            intent.status, intent.amount_received, intent.key = "succeeded", line["amount"], line["key"]

    def _refund_of(self, line: Record) -> Refund:
        owner = next((intent.id for intent in self.intents() if intent.reference == line["reference"]), "")
        return Refund(line["id"], owner, line["amount"], line["currency"].lower(), "", {}, _seconds(line))

    def _living(self) -> Iterator[Record]:
        yield from (intent.record() for intent in self._intents.values())
        yield from ({"refund": vars(refund)} for refund in self._refunds.values())
        yield from self.keys.records()


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"


def unexpected_state(intent: Intent, verb: str) -> Refusal:
    """The answer to a request that comes too late for the state of this intent."""
    return Refusal(
        400,
        f"You cannot {verb} this PaymentIntent because it has a status of {intent.status}.",
        code="payment_intent_unexpected_state",
        payment_intent={"id": intent.id, "object": "payment_intent", "status": intent.status},
    )


def _intent_of(line: Record) -> Intent:
    return Intent(
        id=line["id"],
        amount=line["amount"],
        currency=line["currency"].lower(),
        metadata={"reference": line["reference"]},
        created=_seconds(line),
    )


def _seconds(line: Record) -> float:
    return datetime.fromisoformat(line["at"]).timestamp()
