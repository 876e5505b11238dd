"""Tax, in whole minor units: each line by itself after its discount, half a unit up. Nothing here asks the database.

Why it is done so: docs/decisions/0005-tax.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

WHOLE: Final = 10_000  # rates are in hundredths of a per cent: this one is 100 %


@dataclass(frozen=True, kw_only=True)
class Taxed:
    """What one rate comes to in an order. rate in hundredths of a per cent, amount in minor units."""

    rate: int
    amount: int

    @property
    def percent(self) -> str:
        return f"{self.rate / 100:g}"


def half_up(numerator: int, denominator: int) -> int:
    """The quotient of two whole numbers, not negative, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def tax_of(amount: int, rate: int, *, included: bool) -> int:
    """The tax that `amount` contains, or the tax that comes on top of it."""
    return half_up(amount * rate, WHOLE + rate if included else WHOLE)


def by_rate(parts: Iterable[tuple[int, int]]) -> list[Taxed]:
    """Pairs of rate and amount, added up for each rate; the highest first, untaxed parts left out."""
    sums: dict[int, int] = {}
    for rate, amount in parts:
        sums[rate] = sums.get(rate, 0) + amount
    return [Taxed(rate=rate, amount=sums[rate]) for rate in sorted(sums, reverse=True) if sums[rate]]
