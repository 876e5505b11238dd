import uuid
from collections import defaultdict
from itertools import chain
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone


class RefundQuerySet(models.QuerySet["Refund"]):
    def open(self) -> Self:
        """Those whose end is not known yet."""
        return self.filter(state__in=Refund.OPEN)

    def lost(self) -> Self:
        """Those that failed and were not made good: a person has to find a way.

        A refund of the same amount makes one of them good: the last before it of the same lines, or else the last.
        Two queries, of the orders concerned.
        """
        failed = self.filter(state=Refund.State.FAILED)
        told = Refund.objects.filter(order__in=failed.values("order")).order_by("created_at", "pk")
        lost: defaultdict[tuple[int, int], list[tuple[uuid.UUID, Any]]] = defaultdict(list)
        for pk, order, amount, state, lines in told.values_list("pk", "order", "amount", "state", "lines"):
            waiting = lost[order, amount]
            if state == Refund.State.FAILED:
                waiting.append((pk, lines))
            elif waiting:
                same = [one for one in waiting if one[1] == lines]
                waiting.remove((same or waiting)[-1])
        return failed.filter(pk__in=[pk for pk, _ in chain.from_iterable(lost.values())])


class Refund(models.Model):
    """Money to give back. Its id is the gateway's idempotency key, so it is given back once.

    A key under which the gateway keeps a server error, and did nothing, is spent: then the next one is used.

    Decided and done are two facts: the row is committed before the gateway is asked. What it may give back is
    counted in the attempt's `refunded`, whose CHECK keeps the sum of all refunds within what was captured.
    """

    class State(models.TextChoices):
        REQUESTED = "requested"
        IN_FLIGHT = "in_flight"
        UNKNOWN = "unknown"
        PENDING = "pending"
        DONE = "done"
        FAILED = "failed"

    class Cause(models.TextChoices):
        STAFF = "staff"
        CANCELLED = "cancelled"
        RETURN = "return"
        EDIT = "edit"
        LATE = "late", "paid too late"
        MISMATCH = "mismatch", "wrong amount taken"
        GATEWAY = "gateway", "made at the gateway"

    OPEN = (State.REQUESTED, State.IN_FLIGHT, State.UNKNOWN, State.PENDING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, related_name="refunds")
    attempt = models.ForeignKey("orders.PaymentAttempt", on_delete=models.PROTECT, related_name="refunds")
    state = models.CharField(max_length=10, choices=State, default=State.REQUESTED)
    cause = models.CharField(max_length=10, choices=Cause, default=Cause.STAFF)
    amount = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    lines = models.JSONField(default=list, help_text="Units given back: a list of [SKU, quantity].")
    reason = models.CharField(max_length=200, blank=True)
    spent_keys = models.PositiveSmallIntegerField(default=0)
    gateway_id = models.CharField(max_length=100, null=True, unique=True)
    code = models.CharField(max_length=60, blank=True, help_text="Why the gateway refused.")
    message = models.CharField(max_length=300, blank=True)
    actor = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)
    asked_at = models.DateTimeField(null=True, help_text="When the gateway was asked last.")
    finished_at = models.DateTimeField(null=True)

    objects = RefundQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(name="refund_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="refund_end_says_when",
                condition=Q(state__in=["requested", "in_flight", "unknown", "pending"], finished_at=None)
                | Q(state__in=["done", "failed"], finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}: {self.state}"

    @property
    def key(self) -> str:
        return f"{self.pk}-{self.spent_keys}" if self.spent_keys else str(self.pk)
