"""A file somebody gave us, and the safe copies we made of it."""

import uuid
from typing import Any, Final, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class UploadQuerySet(models.QuerySet["Upload"]):
    def live(self) -> Self:
        """Those that are shown, or will be."""
        return self.filter(status__in=Upload.LIVE)

    def unfinished(self) -> Self:
        return self.filter(status__in=Upload.UNFINISHED)

    def owned_by(self, user: Any) -> Self:
        return self.filter(owner_id=user.pk)


class Upload(models.Model):
    """The file itself is kept for later sizes and never served."""

    class Kind(models.TextChoices):
        IMAGE = "image"
        VIDEO = "video"

    class Status(models.TextChoices):
        RECEIVED = "received"
        PROCESSING = "processing"
        READY = "ready"
        REJECTED = "rejected"  # the file's fault, for good
        FAILED = "failed"  # ours; it can be tried again

    UNFINISHED: Final = (Status.RECEIVED, Status.PROCESSING)
    LIVE: Final = (*UNFINISHED, Status.READY)

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="uploads")
    kind = models.CharField(max_length=5, choices=Kind)
    format = models.CharField(max_length=10)
    status = models.CharField(max_length=10, choices=Status, default=Status.RECEIVED)
    progress = models.PositiveSmallIntegerField(default=0, help_text="Percent.")
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was rejected, or has failed.")
    name = models.CharField(max_length=200, help_text="What its owner called it.")
    sha256 = models.CharField(max_length=64)
    bytes = models.BigIntegerField()
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    run = models.UUIDField(null=True, help_text="Who works on it now. An earlier worker's words do not count.")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "sha256"],
                condition=Q(status__in=["received", "processing", "ready"]),
                name="upload_once_per_owner",
            ),
            models.CheckConstraint(name="upload_progress_in_percent", condition=Q(progress__lte=100)),
            models.CheckConstraint(name="upload_kind_known", condition=Q(kind__in=["image", "video"])),
            models.CheckConstraint(
                name="upload_ends_with_a_reason",
                condition=Q(status__in=["received", "processing"], finished_at=None, reason="")
                | Q(status="ready", finished_at__isnull=False, reason="", progress=100)
                | (Q(status__in=["rejected", "failed"], finished_at__isnull=False) & ~Q(reason="")),
            ),
        ]
        indexes = [models.Index(fields=["owner", "-id"], name="upload_newest_first")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_unfinished(self) -> bool:
        return self.status in self.UNFINISHED

    @property
    def original(self) -> str:
        """Its place in the store."""
        return f"originals/{self.uid}"

    @property
    def folder(self) -> str:
        """Where in the store everything lies that was made of it."""
        return f"renditions/{self.uid}"


class Rendition(models.Model):
    """A copy we encoded ourselves: one size in one format."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="renditions")
    name = models.CharField(max_length=10, help_text="thumb, small, medium, large; 480p, 720p.")
    format = models.CharField(max_length=5, help_text="webp, avif, jpeg, png; mp4.")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    bytes = models.BigIntegerField()
    path = models.CharField(max_length=120, unique=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["upload", "name", "format"], name="rendition_once"),
            models.CheckConstraint(
                name="rendition_format_known", condition=Q(format__in=["webp", "avif", "jpeg", "png", "mp4"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.format} of {self.upload}"


class Avatar(models.Model):
    """The picture by which a person is shown to themselves and to staff."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="avatar")
    upload = models.OneToOneField(Upload, on_delete=models.CASCADE, related_name="as_avatar")

    def __str__(self) -> str:
        return f"avatar of {self.owner}"


class Usage(models.Model):
    """What one person keeps with us, and how much came in the hour that runs. One row, so that two requests at once
    cannot both take the last free byte."""

    owner = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    bytes = models.BigIntegerField(default=0)
    count = models.PositiveIntegerField(default=0)
    hour = models.DateTimeField(default=timezone.now)
    in_hour = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(name="usage_never_negative", condition=Q(bytes__gte=0) & Q(count__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.bytes} bytes in {self.count} uploads"
