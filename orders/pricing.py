"""What it costs. The only source of a price, tax or discount is the database; amounts are minor units."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings

from orders import vouchers
from orders.discounts import split, worth, written
from orders.invalid import FieldError, InvalidOrder, UnknownVoucher
from orders.models import Product, Voucher
from orders.offers import Way, currencies, sold_in, ways
from orders.taxes import Taxed, by_rate, tax_of

__all__ = ["FieldError", "InvalidOrder", "Item", "PricedLine", "Quote", "UnknownVoucher", "quote", "quote_goods"]

MOST_OF_ONE: Final = 99
MOST_LINES: Final = 50
MOST_TO_PAY: Final = 99_999_999  # minor units: the payment service takes no more digits


@dataclass(frozen=True, kw_only=True)
class Item:
    sku: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class PricedLine:
    """discount: this line's part of the order's. tax: of what is left, contained or on top as the quote says."""

    product: Product
    quantity: int
    unit_price: int
    discount: int = 0
    tax_rate: int = 0  # hundredths of a per cent
    tax: int = 0

    @property
    def total(self) -> int:
        return self.unit_price * self.quantity


@dataclass(frozen=True, kw_only=True)
class Quote:
    """Tax is contained in the prices (`tax_included`), or comes on top of them (`tax`): never both."""

    lines: Sequence[PricedLine]
    currency: str
    shipping: int = 0
    shipping_tax_rate: int = 0
    discount: int = 0
    voucher: Voucher | None = None
    includes_tax: bool = field(default_factory=lambda: settings.PRICES_INCLUDE_TAX)

    @property
    def subtotal(self) -> int:
        return sum(line.total for line in self.lines)

    @property
    def taxes(self) -> list[Taxed]:
        of_delivery = tax_of(self.shipping, self.shipping_tax_rate, included=self.includes_tax)
        return by_rate([*((line.tax_rate, line.tax) for line in self.lines), (self.shipping_tax_rate, of_delivery)])

    @property
    def tax(self) -> int:
        return 0 if self.includes_tax else sum(part.amount for part in self.taxes)

    @property
    def tax_included(self) -> int:
        return sum(part.amount for part in self.taxes) if self.includes_tax else 0

    @property
    def total(self) -> int:
        return self.subtotal + self.shipping + self.tax - self.discount


@dataclass(frozen=True, kw_only=True)
class _Asked:
    items: Sequence[Item]
    country: str
    currency: str
    voucher: str
    email: str


def quote(
    items: Sequence[Item],
    shipping_method: str,
    *,
    country: str = "",
    currency: str = "",
    voucher: str = "",
    email: str = "",
) -> Quote:
    """Today's price of these items, sent to `country` (ISO 3166-1 alpha-2; untaxed while it is not known).

    currency: the shop's own when empty. email: whose limits of the voucher are looked at too.
    Raises InvalidOrder naming every bad field: unknown or withdrawn products, quantities outside 1 to 99, the same SKU
    twice, what is not sold in this currency, a way of delivery that is not there or does not go there, a voucher
    that does not count. Two queries, and those of the voucher if there is one.
    """
    asked = _asked(items, country, currency, voucher, email)
    found = ways(currency=asked.currency, country=asked.country, code=shipping_method)
    if found and found[0].goes_to(asked.country):
        return _quoted(asked, found[0])
    return _quoted(asked, None, refused=[_no_such_way(shipping_method, found, asked)])


def quote_goods(items: Sequence[Item], *, country: str = "", currency: str = "", voucher: str = "") -> Quote:
    """The same before a way of delivery is chosen: what the goods alone cost. No order is made of it."""
    return _quoted(_asked(items, country, currency, voucher, ""), None)


def _asked(items: Sequence[Item], country: str, currency: str, voucher: str, email: str) -> _Asked:
    return _Asked(
        items=items,
        country=country.strip().upper(),
        currency=currency or settings.CURRENCY,
        voucher=voucher.strip(),
        email=email,
    )


def _quoted(asked: _Asked, way: Way | None, *, refused: Sequence[FieldError] = ()) -> Quote:
    wanted = Product.objects.active().filter(sku__in={item.sku for item in asked.items})
    products = {found.sku: found for found in sold_in(wanted, currency=asked.currency, country=asked.country)}
    errors = [*item_errors(asked.items, products, asked.currency), *refused]
    totals = [] if errors else [products[item.sku].unit_price * item.quantity for item in asked.items]
    voucher = vouchers.find(asked.voucher) if asked.voucher else None
    errors += _voucher_errors(asked, voucher, sum(totals) if totals else None)
    if errors:
        raise (UnknownVoucher if asked.voucher and voucher is None else InvalidOrder)(errors)
    discount = worth(voucher, sum(totals)) if voucher else 0
    quoted = Quote(
        lines=priced_lines(asked.items, products, discount=discount, includes_tax=settings.PRICES_INCLUDE_TAX),
        currency=asked.currency,
        shipping=way.costs(sum(totals) - discount) if way else 0,
        shipping_tax_rate=way.tax_rate if way else 0,
        discount=discount,
        voucher=voucher,
    )
    return _payable(quoted) if way else quoted


def priced_lines(
    items: Sequence[Item], products: Mapping[str, Any], *, discount: int, includes_tax: bool
) -> list[PricedLine]:
    """The lines of an order, each with its part of the discount and the tax of what is left.

    products: by SKU, each with the `unit_price` and `tax_rate` it is sold at.
    """
    totals = [products[item.sku].unit_price * item.quantity for item in items]
    return [
        PricedLine(
            product=products[item.sku],
            quantity=item.quantity,
            unit_price=products[item.sku].unit_price,
            discount=part,
            tax_rate=products[item.sku].tax_rate,
            tax=tax_of(total - part, products[item.sku].tax_rate, included=includes_tax),
        )
        for item, total, part in zip(items, totals, split(discount, totals), strict=True)
    ]


# -- what is wrong with it --------------------------------------------------------------------


def item_errors(items: Sequence[Item], products: Mapping[str, Any], currency: str) -> Iterator[FieldError]:
    """What is wrong with the lines. products: by SKU, `unit_price` None where it is not sold in this currency."""
    if not 1 <= len(items) <= MOST_LINES:
        yield FieldError(field="items", detail=f"An order has 1 to {MOST_LINES} lines, not {len(items)}.")
        return
    seen: set[str] = set()
    for index, item in enumerate(items):
        for part, detail in _faults(item, products.get(item.sku), currency, again=item.sku in seen):
            yield FieldError(field=f"items[{index}].{part}", detail=detail)
        seen.add(item.sku)


def _faults(item: Item, product: Any, currency: str, *, again: bool) -> Iterator[tuple[str, str]]:
    if product is None:
        yield "sku", f"There is no product {item.sku!r}."
    elif product.unit_price is None:
        yield "sku", f"{item.sku!r} is not sold in {currency}."
    if again:
        yield "sku", f"{item.sku!r} is on another line already."
    if not 1 <= item.quantity <= MOST_OF_ONE:
        yield "quantity", f"Must be 1 to {MOST_OF_ONE}."


def _no_such_way(code: str, found: Sequence[Way], asked: _Asked) -> FieldError:
    offered = [way.code for way in ways(currency=asked.currency) if way.goes_to(asked.country)]
    if not offered and asked.currency not in (sold := currencies()):
        return FieldError(field="currency", detail=f"Must be one of {', '.join(sold)}, not {asked.currency!r}.")
    where = f" to {asked.country}" if asked.country and (found or not offered) else ""
    if not offered:
        detail = f"Nothing is delivered{where} for an order in {asked.currency}."
    else:
        detail = f"Must be one of {', '.join(offered)} for an order in {asked.currency}{where}, not {code!r}."
    return FieldError(field="shipping_method", detail=detail)


def _voucher_errors(asked: _Asked, voucher: Voucher | None, subtotal: int | None) -> Iterator[FieldError]:
    """What the goods must be worth is not asked while they have no price (`subtotal` is None)."""
    if not asked.voucher:
        return
    if voucher is None:
        yield FieldError(field="voucher", detail=f"There is no voucher {asked.voucher!r}.")
    elif subtotal is not None:
        reason = vouchers.why_not(voucher, subtotal=subtotal, currency=asked.currency, email=asked.email)
        if reason:
            yield FieldError(field="voucher", detail=reason)


def _payable(quoted: Quote) -> Quote:
    problem = unpayable(quoted.total, quoted.currency)
    if problem:
        raise InvalidOrder([FieldError(field="voucher" if quoted.total < 1 else "items", detail=problem)])
    return quoted


def unpayable(total: int, currency: str) -> str:
    """Why nobody can pay this total; empty when it can be paid."""
    if total < 1:
        return f"With this voucher nothing is left to pay, and an order costs at least {written(1, currency)}."
    return f"One order costs at most {written(MOST_TO_PAY, currency)}." if total > MOST_TO_PAY else ""
