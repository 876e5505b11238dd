"""The port: what the shop asks of whoever moves the money, and what it may be told.

A gateway module has three functions, `charge`, `find` and `cancel`, each from a Charge to an Outcome.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """What became of a charge, as far as the gateway itself says."""

    SUCCEEDED = "succeeded"  # money was taken
    DECLINED = "declined"  # the card was refused; no money was taken
    UNKNOWN = "unknown"  # money may have been taken, or may still be: ask again
    REQUIRES_ACTION = "requires_action"  # the buyer must approve first; no money was taken yet
    NOT_CHARGED = "not_charged"  # no money was taken, but it still could be
    CANCELLED = "cancelled"  # no money was taken, and none can be any more


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the gateway said.

    `amount` (minor units) and `currency` (upper case) are what was taken, in the gateway's words, for the caller
    to compare with what it asked for; None unless SUCCEEDED. `message` is written for a buyer and may be empty.
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

    The same reference must always come with the same amount, currency and order number: the gateway compares.
    With `started_at` an attempt of any age is found; without it, only for as long as the gateway remembers keys.
    """

    reference: str  # the attempt's UUID: key and reference at the gateway
    amount: int  # minor units
    currency: str
    payment_method: str
    order_number: str
    email: str
    started_at: datetime | None = None
