from django.db import models
from django.utils import timezone


class Counter(models.Model):
    """The last number taken of a series. Taken in the transaction that uses it, so a series has no gaps."""

    name = models.CharField(max_length=40, unique=True)
    value = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


class Invoice(models.Model):
    """An invoice at confirmation, a credit note for each refund; `amount` in minor units of the order's currency."""

    class Kind(models.TextChoices):
        INVOICE = "invoice"
        CREDIT_NOTE = "credit_note", "credit note"

    series = models.CharField(max_length=20, help_text="As 2026, or CN2026 for credit notes.")
    serial = models.PositiveIntegerField()
    kind = models.CharField(max_length=11, choices=Kind)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="invoices")
    refund = models.OneToOneField("orders.Refund", null=True, on_delete=models.PROTECT, related_name="credit_note")
    amount = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    issued_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(name="invoice_number_once", fields=["series", "serial"])]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        return f"{self.series}-{self.serial:05}"
