"""Hold, sell, release, put on the shelf. Every step is one conditional UPDATE per product, in product order,
so that two orders for the same things can never wait for each other in a circle."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from notifications import correlation
from notifications.pipeline.events import publish
from orders.events import InventoryUpdated
from orders.models import Order, Product, Stock, StockHold, StockMovement
from orders.pricing import PricedLine

HOLD_FOR = timedelta(minutes=30)  # far longer than the bank can leave a payment open


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


def hold(*, order: Order, lines: Sequence[PricedLine]) -> None:
    """Promise the lines' units to `order`. Raises OutOfStock, naming every short line."""
    in_turn = sorted(lines, key=lambda line: line.product.pk)
    shortages = [shortage for line in in_turn if (shortage := _reserve(line))]
    if shortages:
        raise OutOfStock(shortages)
    expires_at = timezone.now() + HOLD_FOR
    StockHold.objects.bulk_create(
        StockHold(order=order, product=line.product, quantity=line.quantity, expires_at=expires_at) for line in in_turn
    )


def _reserve(line: PricedLine) -> Shortage | None:
    stock = Stock.objects.filter(product=line.product)
    if stock.filter(on_hand__gte=F("reserved") + line.quantity).update(reserved=F("reserved") + line.quantity):
        return None
    left = stock.first()
    return Shortage(sku=line.product.sku, wanted=line.quantity, available=left.available if left else 0)


def sell(*, order: Order) -> None:
    """What was held for `order` leaves the shelf."""
    holds = _end_holds(order, StockHold.State.SOLD)
    for held in holds:
        Stock.objects.filter(product_id=held.product_id).update(
            on_hand=F("on_hand") - held.quantity, reserved=F("reserved") - held.quantity
        )
    StockMovement.objects.bulk_create(
        StockMovement(
            product_id=held.product_id,
            quantity=-held.quantity,
            reason=StockMovement.Reason.SALE,
            order=order,
            actor=correlation.actor(),
        )
        for held in holds
    )
    skus, changes = tuple(held.product.sku for held in holds), tuple(-held.quantity for held in holds)
    publish(InventoryUpdated(order_id=order.pk, skus=skus, changes=changes), about=order)


def release(*, order: Order) -> None:
    """What was held for `order` is for sale again."""
    for held in _end_holds(order, StockHold.State.RELEASED):
        Stock.objects.filter(product_id=held.product_id).update(reserved=F("reserved") - held.quantity)


def _end_holds(order: Order, state: StockHold.State) -> list[StockHold]:
    holds = list(order.holds.held().select_related("product").order_by("product_id"))
    order.holds.held().update(state=state)
    return holds


def set_on_hand(*, product: Product, on_hand: int, note: str) -> Stock:
    """Correct the count of a product, with a movement that says why.

    Raises OutOfStock when more units than that are promised to orders in payment.
    """
    with transaction.atomic(durable=True):
        stock, created = Stock.objects.select_for_update().get_or_create(product=product)
        if on_hand < stock.reserved:
            raise OutOfStock([Shortage(sku=product.sku, wanted=stock.reserved, available=on_hand)])
        if on_hand != stock.on_hand:
            _move(product, on_hand - stock.on_hand, note, first=created)
            Stock.objects.filter(pk=stock.pk).update(on_hand=on_hand)
    stock.refresh_from_db()
    return stock


def _move(product: Product, quantity: int, note: str, *, first: bool) -> None:
    reason = StockMovement.Reason.INITIAL if first else StockMovement.Reason.CORRECTION
    StockMovement.objects.create(
        product=product, quantity=quantity, reason=reason, note=note, actor=correlation.actor()
    )
    publish(InventoryUpdated(order_id=None, skus=(product.sku,), changes=(quantity,)), about=product)
