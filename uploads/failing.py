"""Work that was given up, for a reason of ours: its owner is told, and may try again."""

from typing import Any, Final

from django.db.models import CharField, Exists, OuterRef, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from notifications.pipeline.models import Delivery
from notifications.pipeline.signals import buried
from uploads.models import Upload

OURS: Final = ("uploads.make_renditions", "uploads.transcode", "uploads.make_poster")
REASON: Final = "Something went wrong on our side. Try again; we have been told of it."


def listen() -> None:
    buried.connect(_fail_with, sender=Delivery, dispatch_uid="uploads.failing")


def _fail_with(*, delivery: Delivery, **_: Any) -> None:
    if delivery.handler in OURS:
        _fail(Upload.objects.unfinished().filter(pk=delivery.event.payload["upload_id"]))


def fail_forgotten() -> int:
    """Uploads that nobody works on, or ever will: their delivery died unseen, or a person discarded it.

    Returns how many.
    """
    subject = Concat(Value("upload:"), Cast(OuterRef("pk"), CharField()))
    coming = (Delivery.State.READY, Delivery.State.RUNNING)
    work = Delivery.objects.filter(handler__in=OURS, event__subject=subject, state__in=coming)
    return _fail(Upload.objects.unfinished().filter(~Exists(work)))


def _fail(uploads: Any) -> int:
    failed: int = uploads.update(status=Upload.Status.FAILED, reason=REASON, run=None, finished_at=timezone.now())
    return failed
