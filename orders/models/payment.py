import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone


class PaymentAttemptQuerySet(models.QuerySet["PaymentAttempt"]):
    def open(self) -> Self:
        """Those whose outcome is not known yet."""
        return self.filter(state__in=PaymentAttempt.OPEN)


class PaymentAttempt(models.Model):
    """One try to take the money. Its id is the gateway's idempotency key and our reference there."""

    class State(models.TextChoices):
        IN_FLIGHT = "in_flight"
        UNKNOWN = "unknown"
        REQUIRES_ACTION = "requires_action"
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
                condition=Q(state__in=["in_flight", "unknown", "requires_action", "succeeded", "mismatch"]),
            ),
            models.CheckConstraint(
                name="attempt_end_says_when",
                condition=Q(state__in=["in_flight", "unknown", "requires_action"], finished_at=None)
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
            self.State.SUCCEEDED: "paid",
            self.State.DECLINED: "declined",
            self.State.EXPIRED: "expired",
            self.State.MISMATCH: "checking",
        }[self.State(self.state)]
