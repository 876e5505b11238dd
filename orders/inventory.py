"""Hold, sell, release, put on the shelf. Every step is one conditional UPDATE per product, in product order,
so that two orders for the same things can never wait for each other in a circle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Case, F, IntegerField, Value, When
from django.utils import timezone

from notifications import correlation
from notifications.audit import log as audit
from notifications.pipeline.events import DomainEvent, publish, publish_all
from orders.events import InventoryLow, InventoryUpdated
from orders.models import Order, OrderEdit, OrderLine, Product, Stock, StockHold, StockMovement
from orders.pricing import PricedLine

HOLD_FOR = timedelta(minutes=30)  # longer than a buyer may take to approve a payment
Reason = StockMovement.Reason


@dataclass(frozen=True, kw_only=True)
class Shortage:
    sku: str
    wanted: int
    available: int


class OutOfStock(Exception):
    """Not enough is left. Nothing was held or charged; `lines` says of what, and how many are left."""

    def __init__(self, lines: Sequence[Shortage]) -> None:
        super().__init__(", ".join(f"{line.sku}: wanted {line.wanted}, {line.available} left" for line in lines))
        self.lines = lines


# -- promised ---------------------------------------------------------------------------------


def hold(*, order: Order, lines: Sequence[PricedLine], edit: OrderEdit | None = None) -> None:
    """Promise the lines' units to `order`, or to an edit of it. Raises OutOfStock, naming every short line."""
    in_turn = sorted(lines, key=lambda line: line.product.pk)
    expires_at = timezone.now() + HOLD_FOR
    StockHold.objects.bulk_create(
        StockHold(order=order, product=line.product, quantity=line.quantity, edit=edit, expires_at=expires_at)
        for line in in_turn
    )
    shortages = [shortage for line in in_turn if (shortage := _reserve(line.product, line.quantity))]
    if shortages:
        raise OutOfStock(shortages)


def _reserve(product: Product, quantity: int) -> Shortage | None:
    stock = Stock.objects.filter(product=product)
    if stock.filter(on_hand__gte=F("reserved") + quantity).update(reserved=F("reserved") + quantity):
        return None
    left = stock.first()
    return Shortage(sku=product.sku, wanted=quantity, available=left.available if left else 0)


def hold_again(*, order: Order) -> bool:
    """Promise once more what had been released, when money came after all. False, and no change, when it is gone."""
    lost = order.holds.filter(state=StockHold.State.RELEASED, edit=None).select_related("product")
    try:
        with transaction.atomic():
            for hold in lost.order_by("product_id"):
                shortage = _reserve(hold.product, hold.quantity)
                if shortage:
                    raise OutOfStock([shortage])
            lost.update(state=StockHold.State.HELD)
    except OutOfStock:
        return False
    return True


def release(*, order: Order, edit: OrderEdit | None = None) -> None:
    """What was held for `order`, or for an edit of it, is for sale again."""
    for held in _end_holds(order, edit, StockHold.State.RELEASED):
        Stock.objects.filter(product_id=held.product_id).update(reserved=F("reserved") - held.quantity)


def _end_holds(order: Order, edit: OrderEdit | None, state: StockHold.State) -> list[StockHold]:
    mine = order.holds.held().filter(edit=edit)
    holds = list(mine.select_related("product").order_by("product_id"))
    order.holds.filter(pk__in=[hold.pk for hold in holds]).update(state=state)
    return holds


# -- moved ------------------------------------------------------------------------------------


def sell(*, order: Order, edit: OrderEdit | None = None, told_with: DomainEvent | None = None) -> None:
    """What was held for `order`, or for an edit of it, leaves the shelf. `told_with`: what else is told of it."""
    sold = {hold.product: hold.quantity for hold in _end_holds(order, edit, StockHold.State.SOLD)}
    left = {product: -count for product, count in sold.items()}
    _write_down(left, reason=Reason.EDIT if edit else Reason.SALE, order=order, told_with=told_with)
    # Last: what many buy at once is locked for as short as can be. All rows in product order; one UPDATE may then
    # change them in any.
    stocks = Stock.objects.filter(product__in=list(sold)).select_related("product").order_by("product_id")
    rows = list(stocks.select_for_update(of=("self",)))
    gone = Case(*(When(pk=row.pk, then=Value(sold[row.product])) for row in rows), output_field=IntegerField())
    Stock.objects.filter(pk__in=[row.pk for row in rows]).update(
        on_hand=F("on_hand") - gone, reserved=F("reserved") - gone
    )
    for row in rows:
        _watch_limit(row, row.on_hand - sold[row.product], fell=True)


def put_back(*, order: Order, units: Mapping[OrderLine, int], reason: StockMovement.Reason) -> None:
    """Units of an order's lines are on the shelf again. The lines' own count keeps it within what was sold."""
    came = {line.product: count for line, count in sorted(units.items(), key=lambda item: item[0].product_id) if count}
    for line, count in units.items():
        OrderLine.objects.filter(pk=line.pk).update(restocked=F("restocked") + count)
    for product, count in came.items():
        Stock.objects.filter(product=product).update(on_hand=F("on_hand") + count)
    _write_down(came, reason=reason, order=order)
    _watch_limits(came)


def take_off(*, order: Order, units: Mapping[Product, int]) -> None:
    """Units that an edit takes out of an order are on the shelf again."""
    came = dict(sorted(units.items(), key=lambda item: item[0].pk))
    for product, count in came.items():
        Stock.objects.filter(product=product).update(on_hand=F("on_hand") + count)
    _write_down(came, reason=Reason.EDIT, order=order)
    _watch_limits(came)


def set_on_hand(*, product: Product, on_hand: int, note: str, reason: StockMovement.Reason | None = None) -> Stock:
    """Correct the count of a product, with a movement that says why.

    Raises OutOfStock when more units than that are promised to orders in payment.
    """
    with transaction.atomic():
        stock, created = Stock.objects.select_for_update().get_or_create(product=product)
        if on_hand < stock.reserved:
            raise OutOfStock([Shortage(sku=product.sku, wanted=stock.reserved, available=on_hand)])
        if on_hand != stock.on_hand:
            Stock.objects.filter(pk=stock.pk).update(on_hand=on_hand)
            moved = {product: on_hand - stock.on_hand}
            _write_down(moved, reason=reason or (Reason.INITIAL if created else Reason.CORRECTION), note=note)
            counts = {"before": {"on_hand": stock.on_hand}, "after": {"on_hand": on_hand}}
            audit.decided("stock.correct", about=product, **counts)
            _watch_limits(moved)
    stock.refresh_from_db()
    return stock


def _write_down(
    moved: Mapping[Product, int],
    *,
    reason: StockMovement.Reason,
    order: Order | None = None,
    note: str = "",
    told_with: DomainEvent | None = None,
) -> None:
    """The movements, and who has to know of them."""
    if not moved:
        return
    actor = correlation.actor()
    StockMovement.objects.bulk_create(
        StockMovement(product=product, quantity=count, reason=reason, order=order, note=note, actor=actor)
        for product, count in moved.items()
    )
    changes = _changes(moved, order)
    publish_all(*filter(None, [changes, told_with]), about=order or next(iter(moved)))


def tell(moved: Mapping[Product, int]) -> None:
    """Publish that units came (positive) or went, and which products fell to their limit by it."""
    publish(_changes(moved, None), about=next(iter(moved)))
    _watch_limits(moved)


def _changes(moved: Mapping[Product, int], order: Order | None) -> InventoryUpdated:
    return InventoryUpdated(
        order_id=order.pk if order else None,
        skus=tuple(product.sku for product in moved),
        changes=tuple(moved.values()),
    )


def _watch_limits(moved: Mapping[Product, int]) -> None:
    for stock in Stock.objects.filter(product__in=list(moved)).select_related("product"):
        _watch_limit(stock, stock.on_hand, fell=moved[stock.product] < 0)


def _watch_limit(stock: Stock, on_hand: int, *, fell: bool) -> None:
    """Tell of each fall to the limit once: `is_low` remembers that it was told, until the count is above it again."""
    low = on_hand <= stock.low_at
    if low == stock.is_low or not Stock.objects.filter(pk=stock.pk, is_low=not low).update(is_low=low):
        return
    if low and fell:
        at = timezone.now().isoformat()
        told = InventoryLow(sku=stock.product.sku, on_hand=on_hand, low_at=stock.low_at, at=at)
        publish(told, about=stock.product)
