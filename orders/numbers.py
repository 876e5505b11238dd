"""Numbers without gaps: taken in the transaction that uses them, so that what is rolled back was never taken."""

from typing import Final

from django.db import connection
from django.utils import timezone

from orders.models import Invoice, Order, Refund

ORDERS: Final = "order"

_ONE: Final = "(%s, 1)"
# Whoever takes a number makes the next one wait until the commit: take it as late as can be.
_TAKE: Final = (
    "INSERT INTO orders_counter (name, value) VALUES {}"
    " ON CONFLICT (name) DO UPDATE SET value = orders_counter.value + 1 RETURNING name, value"
)


def take(*series: str) -> dict[str, int]:
    """The next number of each series, from 1. Several are taken in the order of their names, as by everybody."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE.format(", ".join(_ONE for _ in series)), sorted(series))
        return {name: int(value) for name, value in cursor.fetchall()}


def confirm(order: Order) -> None:
    """Give an order that is being confirmed its number, and write its invoice. The caller saves `serial`."""
    series = f"{timezone.now():%Y}"
    taken = take(ORDERS, series)
    order.serial = taken[ORDERS]
    _write(series, taken[series], order, order.total)


def invoice(order: Order, *, amount: int) -> None:
    """Write the invoice of what an edit added to an order."""
    series = f"{timezone.now():%Y}"
    _write(series, take(series)[series], order, amount)


def _write(series: str, serial: int, order: Order, amount: int) -> None:
    Invoice.objects.create(
        series=series, serial=serial, kind=Invoice.Kind.INVOICE, order=order, amount=amount, currency=order.currency
    )


def credit_note(refund: Refund) -> Invoice | None:
    """Write the credit note of money given back; None when there was no invoice to take back, or there is a note."""
    if refund.order.serial is None or Invoice.objects.filter(refund=refund).exists():
        return None
    series = f"CN{timezone.now():%Y}"
    return Invoice.objects.create(
        series=series,
        serial=take(series)[series],
        kind=Invoice.Kind.CREDIT_NOTE,
        order=refund.order,
        refund=refund,
        amount=refund.amount,
        currency=refund.currency,
    )
