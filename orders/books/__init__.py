"""Do the books balance? The invariants, as queries over our rows and the bank's own ledger.

The ids are stable names for checks outside: I1 to I14, A1 for the audit log and N1 for the numbers. At a gateway that
is not the local bank there is no ledger to read: then the open differences that the hourly comparison noted count.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from notifications.audit import seals
from orders.books import goods, history, money
from orders.books.ledger import Ledger, ledger_file, read_ledger
from orders.books.noted import differences_of

__all__ = ["Invariant", "Ledger", "invariants", "ledger_file", "read_ledger"]

EXAMPLES = 5  # of each violation: enough to start looking


@dataclass(frozen=True, kw_only=True)
class Invariant:
    id: str
    title: str
    violations: int
    examples: Sequence[str]


def invariants() -> list[Invariant]:
    """Check everything. An empty `violations` everywhere means: the books balance."""
    ledger = read_ledger()
    return [_checked(id, title, chain(check(ledger), differences_of(id))) for id, title, check in _CHECKS]


def _checked(id: str, title: str, found: Iterator[str]) -> Invariant:
    violations = list(found)
    return Invariant(id=id, title=title, violations=len(violations), examples=violations[:EXAMPLES])


_CHECKS: Sequence[tuple[str, str, Callable[[Ledger], Iterator[str]]]] = (
    ("I1", "Money the bank keeps belongs to a paid order", money.charges_have_orders),
    ("I2", "No order is charged twice", money.one_charge_each),
    ("I3", "Bank, attempt and order agree on the amount", money.amounts_agree),
    ("I4", "Stock equals its movements, reservations equal their holds", goods.stock_adds_up),
    ("I5", "Only an order in payment holds stock", goods.holds_have_reasons),
    ("I6", "A paid order has its charge", money.paid_means_charged),
    ("I7", "Each change told its event once", history.one_event_per_change),
    ("I8", "Every event reached its handlers", history.every_handler_once),
    ("I9", "A final answer is still true", history.one_answer_per_key),
    ("I10", "An order's history leads to where it is", history.histories_lead_here),
    ("I11", "No more was given back than was taken, each refund once", money.refunds_within_captured),
    ("I12", "Every open payment and refund is being asked about", history.open_ones_are_asked_about),
    ("I13", "No letter said paid without a charge, or not charged of money that was kept", history.letters_are_true),
    ("I14", "Vouchers were used within their limits", goods.vouchers_within_limits),
    ("A1", "The audit log is as it was sealed", lambda _: seals.faults()),
    ("N1", "Order and invoice numbers have no gaps", goods.numbers_have_no_gaps),
)
