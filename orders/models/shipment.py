from django.db import models
from django.db.models import Q
from django.utils import timezone


class Shipment(models.Model):
    """A parcel that left the house."""

    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="shipments")
    carrier = models.CharField(max_length=60, blank=True)
    tracking = models.CharField(max_length=100, blank=True)
    actor = models.CharField(max_length=100)
    shipped_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.carrier} {self.tracking}".strip() or "parcel"


class ShipmentLine(models.Model):
    """How many units of an order's line are in a parcel."""

    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="lines")
    line = models.ForeignKey("orders.OrderLine", on_delete=models.PROTECT, related_name="shipment_lines")
    quantity = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="shipment_line_once", fields=["shipment", "line"]),
            models.CheckConstraint(name="shipment_line_positive", condition=Q(quantity__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.line_id}"


class OrderEdit(models.Model):
    """A change of an order's lines before shipping. It applies when its price difference is settled.

    `before` and `after` are lists of [SKU, quantity, unit price, tax rate]; `difference` is what the buyer pays more,
    or gets back when negative, in minor units of the order's currency.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        APPLIED = "applied"
        REFUSED = "refused"

    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="edits")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    before = models.JSONField()
    after = models.JSONField()
    difference = models.IntegerField()
    reason = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(name="edit_one_pending", fields=["order"], condition=Q(state="pending"))]

    def __str__(self) -> str:
        return f"{self.difference:+d}: {self.state}"
