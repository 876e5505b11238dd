"""What is offered: prices in a currency, ways of delivery, and the tax of the country it goes to. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db.models import Case, Exists, F, IntegerField, OuterRef, Q, Subquery, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from orders.models import Product, ProductPrice, ShippingPrice, TaxRate
from orders.models.catalog import ProductQuerySet

STANDARD: Final = "standard"  # the tax class of a country that counts where no other does, and for delivery


def sold_in(products: ProductQuerySet, *, currency: str, country: str = "") -> Any:
    """Each product with `unit_price` (minor units; None where it is not sold in this currency) and `tax_rate`.

    No query of its own: both come with the products.
    """
    elsewhere = ProductPrice.objects.filter(product=OuterRef("pk"), currency=currency).values("price")
    own = Case(When(currency=currency, then=F("price")), output_field=IntegerField(null=True))
    return products.annotate(
        unit_price=Coalesce(Subquery(elsewhere), own), tax_rate=_rate(country, tax_class=OuterRef("tax_class"))
    )


def _rate(country: str, *, tax_class: Any) -> Combinable:
    """The rate of a class of goods there; the country's standard rate where it has none for that class; or 0."""
    if not country:
        return Value(0)
    here = TaxRate.objects.filter(country=country)
    of_class = here.filter(tax_class=tax_class).values("rate")
    standard = here.filter(tax_class=STANDARD).values("rate")
    return Coalesce(Subquery(of_class), Subquery(standard), Value(0))


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way of delivery with its price in one currency, in minor units. tax_rate in hundredths of a per cent."""

    code: str
    name: str
    price: int
    free_from: int | None
    countries: Sequence[str]
    tax_rate: int

    def goes_to(self, country: str) -> bool:
        """Whether it delivers there. Nowhere is ruled out while the country is not known."""
        return not country or not self.countries or country in self.countries

    def costs(self, goods: int) -> int:
        """Its price for goods of this worth, after their discount."""
        return 0 if self.free_from is not None and goods >= self.free_from else self.price


def ways(*, currency: str, country: str = "", code: str | None = None) -> list[Way]:
    """The ways of delivery that have a price in this currency, in the shop's order; or just the one of that code."""
    prices = ShippingPrice.objects.filter(currency=currency, method__is_active=True)
    if code is not None:
        prices = prices.filter(method__code=code)
    taxed = prices.select_related("method").annotate(tax_rate=_rate(country, tax_class=Value(STANDARD)))
    return [
        Way(
            code=row.method.code,
            name=row.method.name,
            price=row.price,
            free_from=row.free_from,
            countries=row.method.countries,
            tax_rate=row.tax_rate,
        )
        for row in taxed.order_by("method__position", "method__code")
    ]


def currencies() -> list[str]:
    """In which currencies something can be bought: it has a price, and so has its delivery. The shop's own first."""
    own = Product.objects.active().filter(currency=OuterRef("currency"))
    other = ProductPrice.objects.filter(product__is_active=True, currency=OuterRef("currency"))
    delivered = ShippingPrice.objects.filter(Q(Exists(own)) | Q(Exists(other)), method__is_active=True)
    found = set(delivered.values_list("currency", flat=True))
    return sorted(found, key=lambda currency: (currency != settings.CURRENCY, currency))
