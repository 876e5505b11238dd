from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import Q
from django.urls import reverse
from moneyed import Money, get_currency


class ProductQuerySet(models.QuerySet["Product"]):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def matching(self, words: str) -> Self:
        """Those whose name, description or SKU contains every word."""
        found = self
        for word in words.split():
            found = found.filter(Q(name__icontains=word) | Q(description__icontains=word) | Q(sku__icontains=word))
        return found


class Product(models.Model):
    """Something for sale. `price` is in minor units (cents) of `currency`."""

    sku = models.CharField("SKU", max_length=40, unique=True)
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    price = models.PositiveIntegerField(help_text="In minor units: 1290 is 12.90.")
    currency = models.CharField(max_length=3, default="EUR")
    art = models.CharField(max_length=40, blank=True, help_text="The illustration's file name, without “.svg”.")
    tax_class = models.CharField(max_length=20, default="standard", help_text="Which tax rate of the buyer's country.")
    is_active = models.BooleanField(default=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(name="product_price_positive", condition=Q(price__gt=0))]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("orders:product", args=[self.slug])

    @property
    def price_money(self) -> Money:
        currency = get_currency(self.currency)
        return Money(Decimal(self.price) / currency.sub_unit, currency)
