"""The money: which intents there are and what became of them, rebuilt from the files at each start.

The ledger decides. The journal beside it (`<ledger>.state.jsonl`) only adds what no money has moved for yet:
intents, refund details, answers of idempotency keys. Kill the bank anywhere; what the ledger says still holds.

On the ledger, a "charge" that "succeeded" is money taken, and a "refund" that "succeeded" is money given back, whatever
the API called it meanwhile. Money that is only held is an "authorize". A refund on its way is "pending" first and
then, under the same id, "succeeded" or "failed".
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from orders.gateways.bank.answers import Refusal, no_such
from orders.gateways.bank.cards import DECLINE_MESSAGES
from orders.gateways.bank.files import Ledger, LineFile, Record
from orders.gateways.bank.keys import Keys
from orders.gateways.bank.papers import CANCELLABLE, Intent, Refund, unexpected_state

ON_ITS_WAY = "pending"


class Vault:
    """All intents and refunds, and the only hand that writes the ledger."""

    def __init__(self, path: Path, *, key_life: float) -> None:
        """Open the ledger and its journal. Raises AlreadyOpen when another bank has them."""
        self._ledger = Ledger(path)
        self._journal = LineFile(path.with_name(path.name + ".state.jsonl"))
        self._intents: dict[str, Intent] = {}
        self._refunds: dict[str, Refund] = {}
        self._refunds_of: defaultdict[str, list[str]] = defaultdict(list)
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

    def refunds(self, intent: Intent | None = None) -> list[Refund]:
        """Newest first; of this intent, or all."""
        if intent is None:
            return list(reversed(self._refunds.values()))
        return [self._refunds[id] for id in reversed(self._refunds_of[intent.id])]

    def refunded(self, intent: Intent) -> int:
        return sum(refund.amount for refund in self.refunds(intent) if refund.counts)

    # -- moving -------------------------------------------------------------------------------

    def open(self, intent: Intent) -> None:
        """Take a new intent in."""
        self.save(intent)
        self._intents[intent.id] = intent

    def save(self, intent: Intent) -> None:
        self._journal.append(intent.record(), durable=False)

    def charge(self, intent: Intent, *, surcharge: int = 0, forced: bool = False) -> None:
        """Take the money: ledger first, then everything that tells of it.

        Raises Refusal when the money was already taken or the intent was cancelled; `forced` takes it even then.
        """
        with intent.lock:
            if intent.status == "succeeded" or (intent.status == "canceled" and not forced):
                raise unexpected_state(intent, "confirm")
            self._take(intent, intent.amount + surcharge)

    def authorize(self, intent: Intent, *, surcharge: int = 0) -> None:
        """Hold the money. Raises Refusal when it is held or taken already, or the intent was cancelled."""
        with intent.lock:
            if intent.status in ("requires_capture", "succeeded", "canceled"):
                raise unexpected_state(intent, "confirm")
            held = intent.amount + surcharge
            self._write(intent, kind="authorize", amount=held, status="succeeded")
            intent.status, intent.held, intent.error = "requires_capture", held, None
            self.save(intent)

    def capture(self, intent: Intent, *, key: str) -> None:
        """Take what is held. Raises Refusal when nothing is."""
        with intent.lock:
            if intent.status != "requires_capture":
                raise unexpected_state(intent, "capture")
            intent.key = key
            self._take(intent, intent.held)

    def _take(self, intent: Intent, amount: int) -> None:
        self._write(intent, kind="charge", amount=amount, status="succeeded")
        intent.status, intent.amount_received, intent.error = "succeeded", amount, None
        intent.held, intent.cancelled = 0, 0
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
            intent.status, intent.held, intent.cancelled = "canceled", 0, time.time()
            self.save(intent)

    def refund(self, asked: Refund) -> Refund:
        """Give money back; an amount of 0 stands for all that is left.

        Raises Refusal rather than give back more than was taken.
        """
        intent = self.intent(asked.intent, param="payment_intent", status=400)
        with intent.lock:
            for before in self.refunds(intent):
                if asked.key and before.key == asked.key and self.keys.reach(before.created):
                    return before  # a crash took the kept answer, not the refund
            made = replace(asked, amount=self._refundable(intent, asked.amount), currency=intent.currency)
            self._journal.append(made.record(), durable=False)
            self._write_refund(made, status=ON_ITS_WAY if made.due else "succeeded")
            self._remember(made)
            return made

    def _refundable(self, intent: Intent, wanted: int) -> int:
        if not intent.amount_received:
            raise unexpected_state(intent, "refund")
        left = intent.amount_received - self.refunded(intent)
        if left <= 0:
            raise Refusal(400, "There is nothing left to refund.", code="charge_already_refunded")
        if wanted > left:
            raise Refusal(400, f"Only {left} is left to refund.", code="amount_too_large", param="amount")
        return wanted or left

    def end(self, refund: Refund) -> Refund:
        """The way of a refund has ended: the money arrived, or came back."""
        ended = replace(refund, status=refund.end, due=0)
        with self.intent(refund.intent).lock:
            self._write_refund(ended, status=ended.status)
            self._journal.append(ended.record(), durable=False)
            self._remember(ended)
        return ended

    def _remember(self, refund: Refund) -> None:
        if refund.id not in self._refunds:
            self._refunds_of[refund.intent].append(refund.id)
        self._refunds[refund.id] = refund

    # -- the ledger ---------------------------------------------------------------------------

    def _write(self, intent: Intent, *, kind: str, amount: int, status: str, key: str | None = None) -> None:
        self._ledger.write(
            kind=kind,
            key=intent.key if key is None else key,
            reference=intent.reference,
            amount=amount,
            currency=intent.currency.upper(),
            status=status,
            id=intent.id,
        )

    def _write_refund(self, refund: Refund, *, status: str) -> None:
        self._ledger.write(
            kind="refund",
            key=refund.key,
            reference=self.intent(refund.intent).reference,
            amount=refund.amount,
            currency=refund.currency.upper(),
            status=status,
            id=refund.id,
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
            self._believe_refund(line, planned)
        else:
            self._believe_intent(line)

    def _believe_intent(self, line: Record) -> None:
        intent = self._intents.setdefault(line["id"], _intent_of(line))
        if line["kind"] == "void":
            intent.status, intent.held, intent.cancelled = "canceled", 0, intent.cancelled or _seconds(line)
        elif line["kind"] == "authorize":
            intent.status, intent.held, intent.key, intent.manual = (
                "requires_capture",
                line["amount"],
                line["key"],
                True,
            )
        elif line["status"] == "succeeded":
            intent.status, intent.amount_received, intent.key = "succeeded", line["amount"], line["key"]
            intent.held, intent.cancelled, intent.currency = 0, 0, line["currency"].lower()

    def _believe_refund(self, line: Record, planned: dict[str, Refund]) -> None:
        refund = self._refunds.get(line["id"]) or planned.get(line["id"]) or self._refund_of(line)
        ended = line["status"] != ON_ITS_WAY
        self._remember(replace(refund, status=line["status"], due=0) if ended else refund)

    def _refund_of(self, line: Record) -> Refund:
        owner = next((intent.id for intent in self.intents() if intent.reference == line["reference"]), "")
        made = Refund(line["id"], owner, line["amount"], line["currency"].lower(), "", {}, _seconds(line))
        return replace(made, key=line["key"], status=line["status"], due=_seconds(line))

    def _living(self) -> Iterator[Record]:
        yield from (intent.record() for intent in self._intents.values())
        yield from (refund.record() for refund in self._refunds.values())
        yield from self.keys.records()


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
