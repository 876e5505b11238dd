"""What it costs. The only source of a price is the database; amounts are minor units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orders.models import Product

# Flat rates until a shop owner says otherwise; keys are what the API and the form send.
SHIPPING_METHODS: Mapping[str, tuple[str, int]] = {
    "standard": ("Standard, 2 to 4 days", 490),
    "express": ("Express, next working day", 990),
}
MOST_OF_ONE = 99
MOST_LINES = 50


@dataclass(frozen=True, kw_only=True)
class Item:
    sku: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """`field` is a path into the request, as "items[0].sku"."""

    field: str
    detail: str


class InvalidOrder(Exception):
    """The request cannot become an order. Nothing was stored or charged."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field}: {error.detail}" for error in errors))
        self.errors = errors


@dataclass(frozen=True, kw_only=True)
class PricedLine:
    product: Product
    quantity: int

    @property
    def total(self) -> int:
        return self.product.price * self.quantity


@dataclass(frozen=True, kw_only=True)
class Quote:
    lines: Sequence[PricedLine]
    shipping: int
    currency: str
    tax: int = 0  # prices include what tax there is
    discount: int = 0

    @property
    def subtotal(self) -> int:
        return sum(line.total for line in self.lines)

    @property
    def total(self) -> int:
        return self.subtotal + self.shipping + self.tax - self.discount


def quote(items: Sequence[Item], shipping_method: str) -> Quote:
    """Today's price of these items.

    Raises InvalidOrder naming every bad field: unknown or withdrawn products, quantities outside
    1 to 99, the same SKU twice, an unknown shipping method, more than one currency.
    """
    products = {
        product.sku: product for product in Product.objects.active().filter(sku__in={item.sku for item in items})
    }
    errors = [*_item_errors(items, products), *_method_errors(shipping_method), *_currency_errors(products)]
    if errors:
        raise InvalidOrder(errors)
    lines = [PricedLine(product=products[item.sku], quantity=item.quantity) for item in items]
    return Quote(lines=lines, shipping=SHIPPING_METHODS[shipping_method][1], currency=lines[0].product.currency)


def _item_errors(items: Sequence[Item], products: Mapping[str, Product]) -> list[FieldError]:
    if not 1 <= len(items) <= MOST_LINES:
        return [FieldError(field="items", detail=f"An order has 1 to {MOST_LINES} lines, not {len(items)}.")]
    errors, seen = [], set()
    for index, item in enumerate(items):
        if item.sku not in products:
            errors.append(FieldError(field=f"items[{index}].sku", detail=f"There is no product {item.sku!r}."))
        if item.sku in seen:
            errors.append(FieldError(field=f"items[{index}].sku", detail=f"{item.sku!r} is on another line already."))
        if not 1 <= item.quantity <= MOST_OF_ONE:
            errors.append(FieldError(field=f"items[{index}].quantity", detail=f"Must be 1 to {MOST_OF_ONE}."))
        seen.add(item.sku)
    return errors


def _method_errors(shipping_method: str) -> list[FieldError]:
    if shipping_method in SHIPPING_METHODS:
        return []
    known = ", ".join(SHIPPING_METHODS)
    return [FieldError(field="shipping_method", detail=f"Must be one of {known}, not {shipping_method!r}.")]


def _currency_errors(products: Mapping[str, Product]) -> list[FieldError]:
    currencies = {product.currency for product in products.values()}
    if len(currencies) <= 1:
        return []
    return [FieldError(field="items", detail=f"One order has one currency, not {', '.join(sorted(currencies))}.")]
