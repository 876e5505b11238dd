"""What a person asks of us about what we keep of them: a copy, or that it goes."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class ExportQuerySet(models.QuerySet["Export"]):
    def of(self, user_id: int | None) -> Self:
        return self.filter(user_id=user_id)

    def ready(self) -> Self:
        """Those that can be fetched now."""
        return self.filter(state=Export.State.READY, expires_at__gt=timezone.now())


class Export(models.Model):
    """A copy of what we keep of a person: asked for, gathered, there for some days, and gone."""

    class State(models.TextChoices):
        RUNNING = "running"
        READY = "ready"
        GONE = "gone"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exports")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    total = models.PositiveIntegerField(default=1, help_text="Parts there are.")
    done = models.PositiveIntegerField(default=0, help_text="Parts that are gathered.")
    bytes = models.PositiveBigIntegerField(null=True)
    asked_at = models.DateTimeField(default=timezone.now)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="export_one_at_a_time", fields=["user"], condition=Q(state__in=["running", "ready"])
            ),
            models.CheckConstraint(
                name="export_ready_says_until_when",
                condition=~Q(state="ready") | Q(ready_at__isnull=False, expires_at__isnull=False, bytes__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"export {self.pk}"

    @property
    def path(self) -> str:
        """Its place in the store."""
        return f"exports/{self.uid}.zip"


class Erasure(models.Model):
    """A person's wish to be forgotten, and how far it is. Their addresses are known until it is done, to look by."""

    class State(models.TextChoices):
        RUNNING = "running"
        CHECKING = "checking", "looking for what was on its way"
        DONE = "done"

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="erasure")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    addresses = models.JSONField(default=list, help_text="E-mail addresses that were theirs; none once it is done.")
    references = models.JSONField(default=list, help_text="What was theirs, as “order:17”.")
    parts = models.JSONField(default=list, help_text="What there was to erase.")
    erased = models.JSONField(default=list, help_text="What of it is erased.")
    asked_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="erasure_end_says_when",
                condition=Q(state="done", finished_at__isnull=False, addresses=[])
                | ~Q(state="done") & Q(finished_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"
