from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Stock(models.Model):
    """How many are here, and how many of them are promised. The CHECKs make overselling impossible."""

    product = models.OneToOneField("orders.Product", on_delete=models.CASCADE, related_name="stock")
    on_hand = models.PositiveIntegerField(default=0)
    reserved = models.PositiveIntegerField(default=0)
    low_at = models.PositiveIntegerField(default=5, help_text="From how many on hand staff are warned.")
    is_low = models.BooleanField(default=False, help_text="Whether they have been warned since it was last above.")

    class Meta:
        constraints = [
            models.CheckConstraint(name="stock_on_hand_not_negative", condition=Q(on_hand__gte=0)),
            models.CheckConstraint(name="stock_reserved_not_negative", condition=Q(reserved__gte=0)),
            models.CheckConstraint(name="stock_available_not_negative", condition=Q(reserved__lte=F("on_hand"))),
        ]
        verbose_name_plural = "stock"

    def __str__(self) -> str:
        return f"{self.product_id}: {self.available} available"

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


class StockMovement(models.Model):
    """Why `on_hand` changed, by how much. Append-only; the sum of a product's movements is its `on_hand`."""

    class Reason(models.TextChoices):
        INITIAL = "initial"
        SALE = "sale"
        RESTOCK = "restock"
        CORRECTION = "correction"
        CANCELLED = "cancelled"
        RETURN = "return"
        EDIT = "edit"
        IMPORT = "import"

    product = models.ForeignKey("orders.Product", on_delete=models.PROTECT, related_name="movements")
    quantity = models.IntegerField(help_text="Positive in, negative out.")
    reason = models.CharField(max_length=12, choices=Reason)
    order = models.ForeignKey("orders.Order", null=True, on_delete=models.PROTECT, related_name="movements")
    note = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=100)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(name="movement_moves", condition=~Q(quantity=0)),
            models.UniqueConstraint(
                name="movement_one_sale_per_order", fields=["order", "product"], condition=Q(reason="sale")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity:+d} ({self.reason})"


class StockHoldQuerySet(models.QuerySet["StockHold"]):
    def held(self) -> Self:
        return self.filter(state=StockHold.State.HELD)


class StockHold(models.Model):
    """Units promised to an order, or to the edit of one, that is being paid."""

    class State(models.TextChoices):
        HELD = "held"
        SOLD = "sold"
        RELEASED = "released"

    order = models.ForeignKey("orders.Order", on_delete=models.CASCADE, related_name="holds")
    product = models.ForeignKey("orders.Product", on_delete=models.PROTECT, related_name="holds")
    quantity = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.HELD)
    edit = models.ForeignKey("orders.OrderEdit", null=True, on_delete=models.PROTECT, related_name="holds")
    expires_at = models.DateTimeField()

    objects = StockHoldQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="hold_once_per_product", fields=["order", "product"], condition=Q(edit=None)),
            models.UniqueConstraint(name="hold_once_per_edit", fields=["edit", "product"]),
            models.CheckConstraint(name="hold_quantity_positive", condition=Q(quantity__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.state}"
