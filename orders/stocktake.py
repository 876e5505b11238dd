"""Stock that was counted: one product by hand, or many from a list, all of it or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from django.db import transaction

from notifications import correlation
from notifications.audit import log as audit
from orders import idempotency, inventory
from orders.idempotency import Key
from orders.inventory import OutOfStock
from orders.models import Product, Stock, StockMovement
from orders.sheets import MOST_UNITS, BadSheet, Fault, Row, read

__all__ = ["BadSheet", "Change", "Fault", "NotANumber", "OutOfStock", "Report", "import_stock", "recount"]

AT_ONCE: Final = 200  # products in one statement, and in one event
UNSAID: Final = "stock import"  # the note of a line without one

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a list does, or would do, to one product. `before` and `after` are units on hand."""

    line: int
    sku: str
    before: int
    after: int
    note: str

    @property
    def difference(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class Report:
    """lines: how many the list has. changes: those that differ from what was known; None when its key came before."""

    lines: int
    changes: Sequence[Change] | None


class NotANumber(Exception):
    """That many units cannot be on hand; the message names the limits."""


# -- one by hand ------------------------------------------------------------------------------


def recount(*, product: Product, on_hand: int, reason: str, key: Key | None = None) -> Stock:
    """There are `on_hand` units, because of `reason`. The same key counts once, however often it comes.

    Raises NotANumber, KeyReused, or OutOfStock when more units than that are promised to orders in payment.
    """
    if not 0 <= on_hand <= MOST_UNITS:
        raise NotANumber(f"Must be 0 to {MOST_UNITS}, not {on_hand}.")
    return idempotency.once(
        key,
        make=lambda: _recount(product, on_hand, reason, key),
        find=lambda made: Stock.objects.get(product_id=made.removeprefix("count:")),
    )


def _recount(product: Product, on_hand: int, reason: str, key: Key | None) -> Stock:
    with transaction.atomic(durable=True):
        if key is not None:
            idempotency.claim(key=key, made=f"count:{product.pk}")
        return inventory.set_on_hand(product=product, on_hand=on_hand, note=reason)


# -- many from a list -------------------------------------------------------------------------


def import_stock(*, data: bytes, dry_run: bool = False, key: Key | None = None) -> Report:
    """Set what is on hand as a CSV file says, with a movement for each product that differs.

    All or nothing: raises BadSheet, naming every bad line, and KeyReused when `key` came with another file. With
    `dry_run` nothing is written; the report is what would happen now.
    """
    rows, faults = read(data)
    if dry_run:
        return Report(lines=len(rows), changes=_checked(rows, faults, _stocks(rows, lock=False)))
    return idempotency.once(
        key,
        make=lambda: _import(rows, faults, key),
        find=lambda made: Report(lines=int(made.removeprefix("import:")), changes=None),
    )


def _import(rows: Sequence[Row], faults: Sequence[Fault], key: Key | None) -> Report:
    with transaction.atomic(durable=True):
        if key is not None:
            idempotency.claim(key=key, made=f"import:{len(rows)}")
        stocks = _stocks(rows, lock=True)
        changes = _checked(rows, faults, stocks)
        for part in _parts(changes):
            _write(part, stocks)
        before, after = ({one.sku: getattr(one, name) for one in changes} for name in ("before", "after"))
        audit.decided("stock.import", before=before, after=after)
    return Report(lines=len(rows), changes=changes)


def _stocks(rows: Sequence[Row], *, lock: bool) -> dict[str, Stock]:
    """By SKU, as far as there are such products; locked in the order in which everybody locks them."""
    found: list[Product] = []
    for part in _parts(rows):
        found += Product.objects.filter(sku__in=[row.sku for row in part])
    found.sort(key=lambda product: product.pk)
    stocks = {product.sku: Stock(product=product) for product in found}
    if lock:
        Stock.objects.bulk_create(stocks.values(), ignore_conflicts=True, batch_size=AT_ONCE)
    kept = Stock.objects.select_for_update(of=("self",)) if lock else Stock.objects.all()
    for products in _parts(found):
        for stock in kept.filter(product__in=products).select_related("product").order_by("product_id"):
            stocks[stock.product.sku] = stock
    return stocks


def _parts(things: Sequence[T]) -> Iterator[Sequence[T]]:
    return (things[start : start + AT_ONCE] for start in range(0, len(things), AT_ONCE))


def _checked(rows: Sequence[Row], faults: Sequence[Fault], stocks: Mapping[str, Stock]) -> list[Change]:
    """What the rows change. Raises BadSheet with what is wrong with any of them, and with `faults` besides."""
    found = [*faults, *(fault for row in rows for fault in _faults(row, stocks.get(row.sku)))]
    if found:
        raise BadSheet(sorted(found, key=lambda fault: fault.line))
    changes = [_change(row, stocks[row.sku]) for row in rows]
    return [change for change in changes if change.difference]


def _faults(row: Row, stock: Stock | None) -> Iterator[Fault]:
    if stock is None:
        yield Fault(line=row.line, field="sku", reason=f"There is no product {row.sku!r}.")
        return
    after = _change(row, stock).after
    field = "change" if row.on_hand is None else "on_hand"
    if not 0 <= after <= MOST_UNITS:
        yield Fault(line=row.line, field=field, reason=f"Would leave {after} on hand: must be 0 to {MOST_UNITS}.")
    elif after < stock.reserved:
        reason = f"Would leave {after} on hand, and {stock.reserved} are promised to orders in payment."
        yield Fault(line=row.line, field=field, reason=reason)


def _change(row: Row, stock: Stock) -> Change:
    after = stock.on_hand + (row.change or 0) if row.on_hand is None else row.on_hand
    return Change(line=row.line, sku=row.sku, before=stock.on_hand, after=after, note=row.note)


def _write(changes: Sequence[Change], stocks: Mapping[str, Stock]) -> None:
    for change in changes:
        stocks[change.sku].on_hand = change.after
    Stock.objects.bulk_update([stocks[change.sku] for change in changes], ["on_hand"])
    actor = correlation.actor()
    StockMovement.objects.bulk_create(
        StockMovement(
            product=stocks[change.sku].product,
            quantity=change.difference,
            reason=StockMovement.Reason.IMPORT,
            note=change.note or UNSAID,
            actor=actor,
        )
        for change in changes
    )
    inventory.tell({stocks[change.sku].product: change.difference for change in changes})
