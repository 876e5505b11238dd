"""Where somebody wants to be told, and each telling: written once, carried out by its own delivery."""

import secrets
import uuid
from base64 import b64encode
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


def new_secret() -> str:
    """256 random bits, in the form that Standard Webhooks asks for."""
    return f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def enabled(self) -> Self:
        return self.filter(disabled_at=None, owner__is_active=True)

    def locked(self) -> Self:
        """For changes. Its calls may still be written meanwhile: they only refer to it."""
        return self.select_for_update(no_key=True)


class Endpoint(models.Model):
    """An address of its owner that is told of the events it has chosen.

    Staff hear of everything; anybody else of what is their own.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField("address", max_length=500)
    description = models.CharField(max_length=100, blank=True)
    events = models.JSONField(default=list, help_text="The names of the events it is told of.")
    secret = models.CharField(max_length=80, default=new_secret)
    old_secret = models.CharField(max_length=80, blank=True)
    old_secret_until = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_why = models.CharField(max_length=300, blank=True)
    disabled_by_shop = models.BooleanField(default=False, help_text="Then only staff can enable it again.")
    failures = models.PositiveIntegerField(default=0, help_text="Calls that failed, one after another.")
    failing_since = models.DateTimeField(null=True)
    last_failed_at = models.DateTimeField(null=True)
    resting_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = "webhook endpoint"
        permissions = [("disable_endpoint", "Can disable and enable webhook endpoints")]
        constraints = [
            models.CheckConstraint(
                name="endpoint_disabled_for_a_reason",
                condition=Q(disabled_at=None, disabled_why="") | (Q(disabled_at__isnull=False) & ~Q(disabled_why="")),
            ),
            models.CheckConstraint(
                name="endpoint_old_secret_ends",
                condition=Q(old_secret="", old_secret_until=None)
                | (~Q(old_secret="") & Q(old_secret_until__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return self.url

    def secrets(self, now: datetime) -> list[str]:
        """Those that a call is signed with: the secret, and the one before it while it still holds."""
        held = self.old_secret_until is not None and now < self.old_secret_until
        return [self.secret, self.old_secret] if held else [self.secret]


class Call(models.Model):
    """One event for one endpoint. Its body never changes, so that every try says the same under the same id."""

    class State(models.TextChoices):
        QUEUED = "queued"
        DELIVERED = "delivered"
        FAILED = "failed"
        DROPPED = "dropped"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="calls")
    event = models.ForeignKey("notifications.Event", on_delete=models.PROTECT, related_name="calls")
    body = models.TextField()
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    queued_by = models.ForeignKey(
        "notifications.Event", null=True, on_delete=models.PROTECT, related_name="+", help_text="Whose delivery calls."
    )
    queued_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0, help_text="Tries since it was last called for.")
    tries = models.JSONField(default=list, help_text="The last of them: when, how long, and what came back.")
    created_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "webhook call"
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="call_once_per_event"),
            models.CheckConstraint(
                name="call_delivered_says_when",
                condition=Q(state="delivered", delivered_at__isnull=False)
                | (~Q(state="delivered") & Q(delivered_at=None)),
            ),
        ]
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="call_newest_first"),
            models.Index(fields=["queued_at"], name="call_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event.name} to {self.endpoint}"

    @property
    def message_id(self) -> str:
        """The `webhook-id` of every try."""
        return f"msg_{self.uid.hex}"
