from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone


class GatewayEvent(models.Model):
    """What the gateway told us by itself, once per event id, as it was received."""

    class State(models.TextChoices):
        APPLIED = "applied"
        IGNORED = "ignored", "nothing to do"
        UNMATCHED = "unmatched", "about a payment we do not know"

    source = models.CharField(max_length=20, default="stripe")
    external_id = models.CharField(max_length=100)
    type = models.CharField(max_length=80)
    state = models.CharField(max_length=10, choices=State)
    note = models.CharField(max_length=200, blank=True)
    reference = models.CharField(max_length=100, blank=True, db_index=True)
    attempt = models.ForeignKey(
        "orders.PaymentAttempt", null=True, on_delete=models.PROTECT, related_name="gateway_events"
    )
    payload = models.JSONField()
    occurred_at = models.DateTimeField(help_text="By the gateway's clock.")
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(name="gateway_event_once", fields=["source", "external_id"])]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"


class DifferenceQuerySet(models.QuerySet["Difference"]):
    def open(self) -> Self:
        return self.filter(resolved_at=None)


class Difference(models.Model):
    """Where the gateway's books and ours disagree, until somebody or something has repaired it."""

    class Kind(models.TextChoices):
        UNSETTLED = "unsettled", "taken by the bank, not settled here"
        STRAY_CHARGE = "stray_charge", "taken by the bank for no payment of ours"
        MISSING_CHARGE = "missing_charge", "paid here, not taken by the bank"
        AMOUNT = "amount", "another amount here than at the bank"
        STRAY_REFUND = "stray_refund", "given back by the bank, not in our books"
        MISSING_REFUND = "missing_refund", "given back here, not by the bank"
        UNMATCHED_EVENT = "unmatched_event", "the bank told of a payment that we do not know"

    kind = models.CharField(max_length=20, choices=Kind)
    reference = models.CharField(max_length=100, help_text="Of the attempt or refund; else the gateway's own id.")
    order = models.ForeignKey("orders.Order", null=True, on_delete=models.PROTECT, related_name="differences")
    gateway_id = models.CharField(max_length=100, blank=True)
    amount = models.IntegerField(default=0)
    currency = models.CharField(max_length=3, blank=True)
    detail = models.CharField(max_length=300)
    found_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=100, blank=True)
    resolution = models.CharField(max_length=200, blank=True)

    objects = DifferenceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="difference_open_once", fields=["kind", "reference"], condition=Q(resolved_at=None)
            )
        ]
        permissions = [("decide_difference", "Can repair or dismiss a difference")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reference}"
