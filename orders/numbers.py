"""Numbers without gaps: taken in the transaction that uses them, so that what is rolled back was never taken."""

from typing import Final

from django.db import connection
from django.utils import timezone

from orders.models import Invoice, Order, Refund

ORDERS: Final = "order"

# Whoever takes a number makes the next one wait until the commit: take it as late as can be.
_TAKE: Final = (
    "INSERT INTO orders_counter (name, value) VALUES (%s, 1)"
    " ON CONFLICT (name) DO UPDATE SET value = orders_counter.value + 1 RETURNING value"
)


def take(series: str) -> int:
    """The next number of the series, from 1."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [series])
        return int(cursor.fetchone()[0])


def invoice(order: Order, *, amount: int | None = None) -> Invoice:
    """Write the invoice of an order that has just been confirmed, or of what has been paid more for it."""
    series = f"{timezone.now():%Y}"
    return Invoice.objects.create(
        series=series,
        serial=take(series),
        kind=Invoice.Kind.INVOICE,
        order=order,
        amount=order.total if amount is None else amount,
        currency=order.currency,
    )


def credit_note(refund: Refund) -> Invoice | None:
    """Write the credit note of money given back; None when there was no invoice to take back."""
    if refund.order.serial is None:
        return None
    series = f"CN{timezone.now():%Y}"
    return Invoice.objects.create(
        series=series,
        serial=take(series),
        kind=Invoice.Kind.CREDIT_NOTE,
        order=refund.order,
        refund=refund,
        amount=refund.amount,
        currency=refund.currency,
    )
