from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class VoucherQuerySet(models.QuerySet["Voucher"]):
    def of_code(self, code: str) -> Self:
        """Codes are kept in upper case, so that nobody fails for a shift key."""
        return self.filter(code=code.strip().upper())


class Voucher(models.Model):
    """A code that makes an order cheaper. The CHECK on `uses` holds however many buyers come at once."""

    class Kind(models.TextChoices):
        PERCENT = "percent", "per cent"
        AMOUNT = "amount"

    code = models.CharField(max_length=40, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    value = models.PositiveIntegerField(help_text="Whole per cent, or minor units of the currency.")
    currency = models.CharField(max_length=3, blank=True, help_text="Only orders in this currency; all when empty.")
    minimum = models.PositiveIntegerField(default=0, help_text="Goods for at least this much, in minor units.")
    most = models.PositiveIntegerField(null=True, blank=True, help_text="Uses altogether.")
    most_each = models.PositiveIntegerField(null=True, blank=True, help_text="Uses by one e-mail address.")
    first_order_only = models.BooleanField(default=False)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    uses = models.PositiveIntegerField(default=0, editable=False)

    objects = VoucherQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(name="voucher_uses_within_limit", condition=Q(most=None) | Q(uses__lte=F("most"))),
            models.CheckConstraint(
                name="voucher_value_sane",
                condition=Q(kind="percent", value__gte=1, value__lte=100)
                | (Q(kind="amount", value__gte=1) & ~Q(currency="")),
            ),
        ]

    def __str__(self) -> str:
        return self.code


class VoucherUse(models.Model):
    """That an order has used a voucher. `nth` counts a customer's uses, and the CHECK keeps it within the limit."""

    class State(models.TextChoices):
        TAKEN = "taken"
        RELEASED = "released"

    voucher = models.ForeignKey(Voucher, on_delete=models.PROTECT, related_name="taken")
    order = models.OneToOneField("orders.Order", on_delete=models.CASCADE, related_name="voucher_use")
    customer = models.CharField(max_length=254, help_text="The e-mail address in lower case.")
    nth = models.PositiveIntegerField()
    most_each = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=10, choices=State, default=State.TAKEN)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="voucher_nth_once", fields=["voucher", "customer", "nth"], condition=Q(state="taken")
            ),
            models.CheckConstraint(
                name="voucher_nth_within_limit", condition=Q(most_each=None) | Q(nth__lte=F("most_each"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.voucher_id} by {self.customer}: {self.state}"
