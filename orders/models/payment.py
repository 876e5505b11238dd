import uuid
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class PaymentAttemptQuerySet(models.QuerySet["PaymentAttempt"]):
    def open(self) -> Self:
        """Those whose outcome is not known yet."""
        return self.filter(state__in=PaymentAttempt.OPEN)


class PaymentAttempt(models.Model):
    """One try to take the money. Its id is the gateway's idempotency key and our reference there."""

    class Purpose(models.TextChoices):
        ORDER = "order"
        DIFFERENCE = "difference"

    class State(models.TextChoices):
        IN_FLIGHT = "in_flight"
        UNKNOWN = "unknown"
        REQUIRES_ACTION = "requires_action"
        AUTHORIZED = "authorized"
        SUCCEEDED = "succeeded"
        DECLINED = "declined"
        EXPIRED = "expired"
        MISMATCH = "mismatch"

    OPEN = (State.IN_FLIGHT, State.UNKNOWN, State.REQUIRES_ACTION)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="attempts")
    state = models.CharField(max_length=15, choices=State, default=State.IN_FLIGHT)
    amount = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    purpose = models.CharField(max_length=10, choices=Purpose, default=Purpose.ORDER)
    edit = models.OneToOneField("orders.OrderEdit", null=True, on_delete=models.PROTECT, related_name="attempt")
    capture_later = models.BooleanField(default=False, help_text="Hold the money now, take it when the goods leave.")
    captured = models.PositiveIntegerField(default=0, help_text="What the bank took.")
    captured_currency = models.CharField(max_length=3, blank=True)
    refunded = models.PositiveIntegerField(default=0, help_text="The sum of all refunds that have not failed.")
    payment_method = models.CharField(max_length=100)
    gateway_id = models.CharField(max_length=100, null=True, unique=True)
    code = models.CharField(max_length=60, blank=True, help_text="Why the bank said no.")
    message = models.CharField(max_length=300, blank=True)
    action_url = models.URLField(max_length=500, blank=True, help_text="Where the buyer approves the payment.")
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    objects = PaymentAttemptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="attempt_one_live_per_order",
                fields=["order"],
                condition=Q(
                    purpose="order",
                    state__in=["in_flight", "unknown", "requires_action", "authorized", "succeeded", "mismatch"],
                ),
            ),
            models.UniqueConstraint(
                name="attempt_one_open_difference",
                fields=["order"],
                condition=Q(purpose="difference", state__in=["in_flight", "unknown", "requires_action"]),
            ),
            models.CheckConstraint(name="attempt_refunds_within_captured", condition=Q(refunded__lte=F("captured"))),
            models.CheckConstraint(
                name="attempt_difference_has_edit",
                condition=Q(purpose="order", edit=None) | Q(purpose="difference", edit__isnull=False),
            ),
            models.CheckConstraint(
                name="attempt_end_says_when",
                condition=Q(state__in=["in_flight", "unknown", "requires_action", "authorized"], finished_at=None)
                | Q(state__in=["succeeded", "declined", "expired", "mismatch"], finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}: {self.state}"

    @property
    def as_payment_status(self) -> str:
        return {
            self.State.IN_FLIGHT: "pending",
            self.State.UNKNOWN: "checking",
            self.State.REQUIRES_ACTION: "requires_action",
            self.State.AUTHORIZED: "authorized",
            self.State.SUCCEEDED: self._given_back or "paid",
            self.State.DECLINED: "declined",
            self.State.EXPIRED: "expired",
            self.State.MISMATCH: self._given_back or ("checking" if self.captured else "declined"),
        }[self.State(self.state)]

    @property
    def _given_back(self) -> str:
        if not self.refunded:
            return ""
        return "refunded" if self.refunded == self.captured else "partly_refunded"
