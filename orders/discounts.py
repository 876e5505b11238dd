"""What a voucher is worth, whose it is not, and how a discount is spread. Nothing here asks the database."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from moneyed import Money, get_currency
from moneyed.l10n import format_money

from orders.models import Voucher
from orders.taxes import half_up


def written(amount: int, currency: str) -> str:
    """Minor units as people write them: 1250 and "EUR" are €12.50."""
    return format_money(Money(Decimal(amount) / get_currency(currency).sub_unit, currency), locale="en")


def worth(voucher: Voucher, subtotal: int) -> int:
    """How much cheaper it makes goods of this worth, in minor units; never more than they cost."""
    if voucher.kind == Voucher.Kind.PERCENT:
        return half_up(subtotal * voucher.value, 100)
    return min(voucher.value, subtotal)


def why_not(voucher: Voucher, *, subtotal: int, currency: str, now: datetime) -> str:
    """Why this voucher makes goods of this worth no cheaper at this moment; empty when it does."""
    code = voucher.code
    if not voucher.is_active:
        return f"There is no voucher {code!r}."
    if voucher.starts_at and now < voucher.starts_at:
        return f"The voucher {code} begins on {voucher.starts_at:%d %B %Y}."
    if voucher.ends_at and now >= voucher.ends_at:
        return f"The voucher {code} ended on {voucher.ends_at:%d %B %Y}."
    if voucher.currency and voucher.currency != currency:
        return f"The voucher {code} is for orders in {voucher.currency}, not in {currency}."
    if subtotal < voucher.minimum:
        return f"The voucher {code} needs goods for at least {written(voucher.minimum, currency)}."
    return used_up(voucher) if voucher.most is not None and voucher.uses >= voucher.most else ""


def used_up(voucher: Voucher) -> str:
    return f"The voucher {voucher.code} has been used up."


def split(amount: int, shares: Sequence[int]) -> list[int]:
    """Spread `amount` in proportion to `shares`, to the last unit: largest remainder, of equal ones the first.

    No part is larger than its share, as long as `amount` is not larger than all of them.
    """
    whole = sum(shares)
    if not whole:
        return [0 for _ in shares]
    parts = [amount * share // whole for share in shares]
    remainders = [amount * share % whole for share in shares]
    in_turn = sorted(range(len(shares)), key=lambda index: -remainders[index])
    for index in in_turn[: amount - sum(parts)]:
        parts[index] += 1
    return parts
