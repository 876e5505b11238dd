"""What the bank keeps a record of: intents to pay, and refunds."""

import secrets
import threading
from dataclasses import dataclass, field

from orders.gateways.bank.answers import Refusal
from orders.gateways.bank.files import Record

CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELLABLE = (*CONFIRMABLE, "requires_capture")


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
    manual: bool = False  # confirming only holds the money; a capture takes it
    held: int = 0
    amount_received: int = 0
    error: dict[str, str] | None = None
    return_url: str = ""
    key: str = ""  # of the request that moved it last
    due: float = 0  # when a late charge happens
    cancelled: float = 0
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    @property
    def reference(self) -> str:
        return self.metadata.get("reference", "")

    @property
    def charge_id(self) -> str:
        return self.id.replace("pi_", "ch_", 1)

    def record(self) -> Record:
        return {"intent": {name: value for name, value in vars(self).items() if name != "lock"}}


@dataclass(frozen=True)
class Refund:
    """Money given back, or on its way."""

    id: str
    intent: str
    amount: int
    currency: str
    reason: str
    metadata: dict[str, str]
    created: float
    key: str = ""
    status: str = "succeeded"
    due: float = 0  # when its way ends; 0 for one that has ended
    end: str = "succeeded"

    @property
    def counts(self) -> bool:
        """Whether its amount cannot be given back once more."""
        return self.status != "failed"

    def record(self) -> Record:
        return {"refund": vars(self)}


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
