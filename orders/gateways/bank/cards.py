"""The test cards: Stripe's own names where it has one, `pm_bank_…` for the faults it will not play."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Card:
    """How the bank behaves when this card is charged or given money back; the default card simply does."""

    decline_code: str = ""
    challenge: bool = False  # the buyer must approve on the bank's page first
    pause: float = 0  # seconds before anything happens
    deaf: bool = False  # never answers and never charges
    late: bool = False  # never answers, charges when nobody waits any more
    mute: bool = False  # charges and never answers
    breaks: bool = False  # charges and answers 500
    surcharge: int = 0  # minor units taken on top of what was asked
    currency: str = ""  # taken in this one instead
    refund_first: str = "succeeded"  # what a refund is called at once
    refund_end: str = ""  # and what it turns out to be after a while, if that is another thing


CARDS: Final = {
    "pm_card_visa": Card(),
    "pm_card_chargeDeclined": Card(decline_code="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": Card(decline_code="insufficient_funds"),
    "pm_card_authenticationRequired": Card(challenge=True),
    "pm_card_pendingRefund": Card(refund_first="pending", refund_end="succeeded"),
    "pm_card_refundFail": Card(refund_end="failed"),
    "pm_bank_slow": Card(pause=3),
    "pm_bank_timeout_before_charge": Card(deaf=True),
    "pm_bank_timeout_after_charge": Card(mute=True),
    "pm_bank_error_after_charge": Card(breaks=True),
    "pm_bank_late_success": Card(late=True),
    "pm_bank_wrong_amount": Card(surcharge=100),
}

DECLINE_MESSAGES: Final = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "authentication_failure": "The payment was not approved by the card holder.",
}
