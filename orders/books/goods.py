"""What is on the shelf, what is promised, and what is counted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db.models import Count, F, Max, Min, Q, Sum
from django.utils import timezone

from orders.books.ledger import Ledger
from orders.models import (
    Counter,
    Invoice,
    Order,
    OrderEdit,
    OrderLine,
    PaymentAttempt,
    Stock,
    StockHold,
    StockMovement,
    Voucher,
    VoucherUse,
)


def stock_adds_up(_: Ledger) -> Iterator[str]:
    moved = dict(StockMovement.objects.values_list("product").annotate(sum=Sum("quantity")))
    held = dict(StockHold.objects.held().values_list("product").annotate(sum=Sum("quantity")))
    for stock in Stock.objects.select_related("product"):
        if stock.on_hand != moved.get(stock.product_id, 0):
            yield f"{stock.product.sku}: {stock.on_hand} on hand, movements say {moved.get(stock.product_id, 0)}"
        if stock.reserved != held.get(stock.product_id, 0):
            yield f"{stock.product.sku}: {stock.reserved} reserved, holds say {held.get(stock.product_id, 0)}"
    yield from _orders_took_what_they_sold()
    for line in OrderLine.objects.filter(quantity__lt=F("shipped") + F("cancelled")).select_related("order"):
        yield f"{line.order}: of {line} {line.shipped} were shipped and {line.cancelled} taken out"


def _orders_took_what_they_sold() -> Iterator[str]:
    """A sold order has taken its lines from the shelf, less what was put back; any other has taken nothing."""
    taken: dict[tuple[int, int], int] = defaultdict(int)
    moves = (
        StockMovement.objects.filter(order__isnull=False).values_list("order", "product").annotate(sum=Sum("quantity"))
    )
    for order, product, quantity in moves:
        taken[order, product] = -quantity
    for line in OrderLine.objects.select_related("order"):
        expected = line.quantity - line.restocked if line.order.paid_at else 0
        if taken[line.order_id, line.product_id] != expected:
            took = taken[line.order_id, line.product_id]
            yield f"{line.order} ({line.order.status}): {took} {line.sku} taken from the shelf, expected {expected}"


def holds_have_reasons(_: Ledger) -> Iterator[str]:
    paying = Q(order__status=Order.Status.PLACED) & (
        Q(order__attempts__state__in=PaymentAttempt.OPEN) | Q(expires_at__gt=timezone.now())
    )
    editing = Q(edit__state=OrderEdit.State.PENDING)
    for hold in StockHold.objects.held().exclude(paying | editing).select_related("order", "product"):
        yield f"{hold.order} ({hold.order.status}) still holds {hold.quantity} {hold.product.sku}"


def vouchers_within_limits(_: Ledger) -> Iterator[str]:
    taken = VoucherUse.objects.filter(state=VoucherUse.State.TAKEN)
    counts = dict(taken.values_list("voucher").annotate(n=Count("pk")))
    for voucher in Voucher.objects.all():
        count = counts.get(voucher.pk, 0)
        if voucher.uses != count:
            yield f"{voucher}: {voucher.uses} uses counted, {count} orders have it"
        if voucher.most is not None and count > voucher.most:
            yield f"{voucher}: {count} uses, {voucher.most} allowed"
    each = (
        taken.exclude(most_each=None).values("voucher__code", "customer").annotate(n=Count("pk"), most=Max("most_each"))
    )
    for row in each:
        if row["n"] > row["most"]:
            yield f"{row['voucher__code']}: {row['n']} uses by one customer, {row['most']} allowed"


def numbers_have_no_gaps(_: Ledger) -> Iterator[str]:
    counters = dict(Counter.objects.values_list("name", "value"))
    serials = Order.objects.aggregate(n=Count("serial"), first=Min("serial"), last=Max("serial"))
    yield from _gaps("order", counters.get("order", 0), serials)
    series = Invoice.objects.values("series").annotate(n=Count("pk"), first=Min("serial"), last=Max("serial"))
    for row in series:
        yield from _gaps(row["series"], counters.get(row["series"], 0), row)
    for order in Order.objects.filter(paid_at__isnull=False, serial=None):
        yield f"{order} was paid and has no number"


def _gaps(name: str, counted: int, there: Mapping[str, Any]) -> Iterable[str]:
    if there["n"] and (there["first"], there["last"]) != (1, there["n"]):
        yield f"{name}: {there['n']} numbers from {there['first']} to {there['last']}"
    if counted != (there["last"] or 0):
        yield f"{name}: counted to {counted}, the last in use is {there['last'] or 0}"
