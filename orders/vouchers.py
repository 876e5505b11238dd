"""Codes that make an order cheaper, counted so that no limit is passed however many come at once.

A use is counted by one conditional UPDATE of the voucher's row. Its lock makes all who want the same voucher wait
for each other, so what is read after it (a customer's other uses, an earlier order) is the truth until the commit.
Whoever locks stock too locks the stock first.
"""

from itertools import count
from typing import Final

from django.db.models import F, Q
from django.utils import timezone

from orders import discounts
from orders.discounts import used_up
from orders.invalid import FieldError, InvalidOrder
from orders.models import Order, Voucher, VoucherUse

TAKEN: Final = VoucherUse.State.TAKEN
RELEASED: Final = VoucherUse.State.RELEASED
_ROOM: Final = Q(most=None) | Q(uses__lt=F("most"))


def find(code: str) -> Voucher | None:
    """The voucher of this code, however it is written: case and space around it do not matter."""
    return Voucher.objects.of_code(code).filter(is_active=True).first()


def why_not(voucher: Voucher, *, subtotal: int, currency: str, email: str = "") -> str:
    """Why it does not count now for goods of this worth and, where `email` is given, for this customer; or empty."""
    reason = discounts.why_not(voucher, subtotal=subtotal, currency=currency, now=timezone.now())
    return reason or (_why_not_for(voucher, _customer(email)) if email else "")


def take(*, order: Order, voucher: Voucher) -> None:
    """Count one use by `order`, inside the transaction that writes it; `voucher` is what its price was made with.

    Raises InvalidOrder when it has been used up, has ended or was changed since: the caller's transaction must not
    commit then.
    """
    now = timezone.now()
    as_quoted = Voucher.objects.filter(
        _ROOM,
        Q(starts_at=None) | Q(starts_at__lte=now),
        Q(ends_at=None) | Q(ends_at__gt=now),
        pk=voucher.pk,
        is_active=True,
        kind=voucher.kind,
        value=voucher.value,
        minimum__lte=order.subtotal,
    )
    if not as_quoted.update(uses=F("uses") + 1):
        raise _refusal(_why_lost(voucher, order))
    customer = _customer(order.email)
    reason = _why_not_for(voucher, customer, but=order)
    if reason:
        raise _refusal(reason)
    VoucherUse.objects.create(
        voucher=voucher,
        order=order,
        customer=customer,
        nth=_free_number(_uses(voucher, customer)),
        most_each=voucher.most_each,
    )


def release(order: Order) -> None:
    """An order that ended unpaid gives its use of a voucher back. Any number of times; inside a transaction."""
    if not order.voucher_code:
        return
    if VoucherUse.objects.filter(order=order, state=TAKEN).update(state=RELEASED):
        Voucher.objects.filter(taken__order=order).update(uses=F("uses") - 1)


def take_again(order: Order) -> bool:
    """Money came after all: count the released use once more. False, and no change, when it is used up meanwhile.

    That the voucher has ended since does not matter: the buyer was in time. Inside a transaction.
    """
    use = VoucherUse.objects.select_related("voucher").filter(order=order, state=RELEASED).first()
    if use is None:
        return True
    mine = Voucher.objects.filter(pk=use.voucher_id)
    if not mine.filter(_ROOM).update(uses=F("uses") + 1):
        return False
    others = _uses(use.voucher, use.customer)
    most = 1 if use.voucher.first_order_only else use.most_each
    if most is not None and len(others) >= most:
        mine.update(uses=F("uses") - 1)
        return False
    return bool(VoucherUse.objects.filter(pk=use.pk).update(state=TAKEN, nth=_free_number(others)))


def _customer(email: str) -> str:
    return email.strip().lower()


def _uses(voucher: Voucher, customer: str) -> set[int]:
    return set(VoucherUse.objects.filter(voucher=voucher, customer=customer, state=TAKEN).values_list("nth", flat=True))


def _free_number(taken: set[int]) -> int:
    return next(number for number in count(1) if number not in taken)


def _why_not_for(voucher: Voucher, customer: str, *, but: Order | None = None) -> str:
    if voucher.most_each is not None and len(_uses(voucher, customer)) >= voucher.most_each:
        often = "once" if voucher.most_each == 1 else f"{voucher.most_each} times"
        return f"The voucher {voucher.code} can be used {often} by one customer."
    if voucher.first_order_only and _has_ordered(customer, but=but):
        return f"The voucher {voucher.code} is for a customer's first order."
    return ""


def _has_ordered(customer: str, *, but: Order | None) -> bool:
    """Whether there is an order of this customer that was paid, or is in payment."""
    counts = Q(paid_at__isnull=False) | Q(status=Order.Status.PLACED)
    found = Order.objects.filter(counts, email__iexact=customer)
    return (found.exclude(pk=but.pk) if but else found).exists()


def _why_lost(voucher: Voucher, order: Order) -> str:
    now = Voucher.objects.filter(pk=voucher.pk).first()
    if now is None:
        return used_up(voucher)
    reason = why_not(now, subtotal=order.subtotal, currency=order.currency)
    return reason or f"The voucher {now.code} has changed: look at the price again."


def _refusal(reason: str) -> InvalidOrder:
    return InvalidOrder([FieldError(field="voucher", detail=reason)])
