"""The port: what the shop asks of whoever moves the money, and what it may be told.

A gateway module has these functions: `charge`, `find`, `capture` and `cancel`, each from a Charge to an Outcome;
`refund` and `find_refund`, from a RefundAsk to a RefundOutcome; `charges_since`, `refunds_since` and `refunds_of`,
which list; `verified` and `told`, which read what the gateway sends by itself.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """What became of a charge, as far as the gateway itself says."""

    SUCCEEDED = "succeeded"  # money was taken
    AUTHORIZED = "authorized"  # money is held for us and not taken: capture it, or cancel
    DECLINED = "declined"  # the card was refused; no money was taken
    UNKNOWN = "unknown"  # money may have been taken, or may still be: ask again
    REQUIRES_ACTION = "requires_action"  # the buyer must approve first; no money was taken yet
    NOT_CHARGED = "not_charged"  # no money was taken, but it still could be
    CANCELLED = "cancelled"  # no money was taken, and none can be any more


class RefundStatus(StrEnum):
    """What became of a refund, as far as the gateway itself says."""

    DONE = "done"  # money is on its way back; in rare cases the buyer's bank still returns it (FAILED)
    PENDING = "pending"  # accepted; it will be DONE or FAILED
    FAILED = "failed"  # no money was given back, and none will be under this refund
    UNKNOWN = "unknown"  # money may have been given back: ask again
    NOT_FOUND = "not_found"  # the gateway does not know of it


class GatewaySilent(Exception):
    """The gateway did not tell all that was asked: what it told so far proves nothing about the rest."""


class WeakSecret(Exception):
    """There is no secret to check a signature with, or one so short that it could be guessed."""


class BadSignature(Exception):
    """A message that the gateway did not sign, or not now. `reason` is for the log, not for the sender."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadEvent(BadSignature):
    """A message that is signed well and is no event."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the gateway said.

    `amount` (minor units) and `currency` (upper case) are what was taken (SUCCEEDED) or is held (AUTHORIZED), in the
    gateway's words, for the caller to compare with what it asked for; None in every other state. `message` is
    written for a buyer and may be empty.
    """

    status: Status
    gateway_id: str | None
    amount: int | None
    currency: str | None
    code: str = ""
    message: str = ""
    action_url: str = ""  # where the buyer approves; given with REQUIRES_ACTION


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One attempt to be paid.

    The same reference must always come with the same amount, currency, order number and capture_later: the gateway
    compares. With `started_at` an attempt of any age is found; without it, only for as long as the gateway remembers
    keys.
    """

    reference: str  # the attempt's UUID: key and reference at the gateway
    amount: int  # minor units
    currency: str
    payment_method: str
    order_number: str
    email: str
    started_at: datetime | None = None
    capture_later: bool = False  # only hold the money now; `capture` takes it
    return_url: str = ""  # where the buyer goes after approving the payment


@dataclass(frozen=True, kw_only=True)
class RefundAsk:
    """One refund, decided and committed before the gateway hears of it."""

    id: str  # the refund's UUID: its reference at the gateway
    key: str  # under which it is asked for: the id, until the gateway keeps a server error under that
    gateway_id: str  # of the charge to give back from
    amount: int  # minor units
    currency: str
    reason: str  # shown at the gateway, for people
    asked_at: datetime  # when the gateway was first asked, or was about to be


@dataclass(frozen=True, kw_only=True)
class RefundOutcome:
    """What the gateway said of a refund; `amount`, `currency` and `gateway_id` are None when it knows of none."""

    status: RefundStatus
    gateway_id: str | None = None
    amount: int | None = None
    currency: str | None = None
    code: str = ""
    message: str = ""
    spent_key: str = ""  # a key that did nothing and never will: ask under the next one


@dataclass(frozen=True, kw_only=True)
class ListedCharge:
    """One charge as the gateway's own books have it."""

    gateway_id: str
    reference: str  # empty when we did not make it
    order_number: str
    status: Status
    amount: int  # what was taken or is held; before that, what was asked for
    currency: str
    refunded: int | None  # the sum of refunds that have not failed; None when the gateway did not say
    created: datetime


@dataclass(frozen=True, kw_only=True)
class ListedRefund:
    """One refund as the gateway's own books have it."""

    gateway_id: str
    intent_id: str  # the charge it gives back from
    refund: str  # our RefundAsk.id; empty when it was made elsewhere, for example by hand at the gateway
    amount: int
    currency: str
    status: RefundStatus
    created: datetime
    code: str = ""  # why it failed


@dataclass(frozen=True, kw_only=True)
class Told:
    """What an event of the gateway says. A hint, and maybe an old one: `find` and `refunds_of` tell the truth of now.

    `kind` is "charge" (then `outcome` is given), "refund" (then `refund` is given, unless the event only says that
    there are refunds of the charge `gateway_id`), or "other".
    """

    event_id: str
    type: str
    created: datetime | None
    kind: str
    reference: str = ""  # Charge.reference; empty when the event does not say
    gateway_id: str | None = None  # of the charge
    outcome: Outcome | None = None
    refund: ListedRefund | None = None
