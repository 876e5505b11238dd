"""What the shop owner sets: taxes, ways of delivery, prices in other currencies."""

from django.db import models
from django.db.models import Q


class TaxRate(models.Model):
    """What a country takes of a kind of goods. Countries without a row are not taxed."""

    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2.")
    tax_class = models.CharField(max_length=20, default="standard")
    rate = models.PositiveIntegerField(help_text="In hundredths of a per cent: 2100 is 21 %.")

    class Meta:
        constraints = [
            models.UniqueConstraint(name="tax_rate_once", fields=["country", "tax_class"]),
            models.CheckConstraint(name="tax_rate_sane", condition=Q(rate__lte=10_000)),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.tax_class}: {self.rate / 100:g} %"


class ShippingMethod(models.Model):
    """A way of delivery. `code` is what the API and the form send."""

    code = models.SlugField(max_length=30, unique=True)
    name = models.CharField(max_length=80)
    countries = models.JSONField(default=list, blank=True, help_text="Only to these (ISO codes); anywhere when empty.")
    position = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class ShippingPrice(models.Model):
    """What a way of delivery costs in one currency, in minor units. From `free_from` worth of goods it is free."""

    method = models.ForeignKey(ShippingMethod, on_delete=models.CASCADE, related_name="prices")
    currency = models.CharField(max_length=3)
    price = models.PositiveIntegerField()
    free_from = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(name="shipping_price_once", fields=["method", "currency"])]

    def __str__(self) -> str:
        return f"{self.price} {self.currency}"


class ProductPrice(models.Model):
    """A product's price in another currency than its own, in minor units."""

    product = models.ForeignKey("orders.Product", on_delete=models.CASCADE, related_name="prices")
    currency = models.CharField(max_length=3)
    price = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="product_price_once", fields=["product", "currency"]),
            models.CheckConstraint(name="product_price_in_currency_positive", condition=Q(price__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.price} {self.currency}"
