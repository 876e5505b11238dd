"""Taking a file in: it is in the store, a row says so and an event goes out; all else happens after the answer."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from notifications import correlation
from notifications.audit import log as audit
from notifications.pipeline.events import publish
from uploads import quota, storage
from uploads.events import ImageUploaded, UploadDeleted, VideoUploaded
from uploads.models import Upload
from uploads.quota import OverQuota, TooOften
from uploads.receiving import Received

__all__ = ["InUse", "NotFailed", "OverQuota", "TooOften", "accept", "delete", "retry"]


class InUse(Exception):
    """It is shown somewhere else, which must let go of it first."""


class NotFailed(Exception):
    """There is nothing to try again; the message says why."""


def accept(*, owner: Any, file: Received) -> Upload:
    """The upload of `file`: a new one, or what this person gave us with the same bytes before.

    The file is in the store before the row is, so that no row is ever without its file; what a crash leaves between
    the two is swept away. Raises OverQuota or TooOften, and keeps nothing then.
    """
    if known := _known(owner, file):
        return known
    upload = Upload(
        owner=owner,
        kind=file.format.kind,
        format=file.format.name,
        name=file.name,
        sha256=file.sha256,
        bytes=file.bytes,
    )
    storage.keep(upload.original, file.path)
    try:
        _record(upload)
    except IntegrityError:
        storage.remove(upload.original)
        return Upload.objects.live().get(owner=owner, sha256=file.sha256)  # the same file, twice at once
    except (OverQuota, TooOften):
        storage.remove(upload.original)
        raise
    return upload


def retry(*, upload: Upload) -> None:
    """Work on it once more. Raises NotFailed unless it has failed for a reason of ours."""
    try:
        with transaction.atomic(durable=True):
            again = {"status": Upload.Status.RECEIVED, "reason": "", "progress": 0, "finished_at": None}
            if not Upload.objects.filter(pk=upload.pk, status=Upload.Status.FAILED).update(**again):
                raise NotFailed("This upload has not failed.")
            _note_other("upload.retry", upload)
            _announce(upload)
    except IntegrityError as error:
        raise NotFailed("You have uploaded the same file again since.") from error


def delete(*, upload: Upload) -> None:
    """Its rows are gone now, and its files soon. Deleted before is no error. Raises InUse."""
    try:
        _delete(upload)
    except ProtectedError as error:
        raise InUse(f"{upload} is shown in the shop: take it out there first.") from error


def _delete(upload: Upload) -> None:
    with transaction.atomic(durable=True):
        found = Upload.objects.select_for_update().filter(pk=upload.pk).first()
        if found is None:
            return
        kept = 0 if found.status == Upload.Status.REJECTED else found.bytes
        quota.give_back(owner_id=found.owner_id, size=kept, uploads=1)
        _note_other("upload.delete", found)
        publish(UploadDeleted(uid=str(found.uid)), about=found)
        found.delete()


def _note_other(action: str, upload: Upload) -> None:
    """What people do with their own files is their business; what others do with them is written down."""
    if correlation.actor() != f"user:{upload.owner_id}":
        audit.decided(action, about=upload, before={"of": upload.owner_id, "status": str(upload.status)})


def _known(owner: Any, file: Received) -> Upload | None:
    return Upload.objects.live().owned_by(owner).filter(sha256=file.sha256).first()


def _record(upload: Upload) -> None:
    with transaction.atomic(durable=True):
        quota.take(owner=upload.owner, size=upload.bytes)
        upload.save(force_insert=True)
        _announce(upload)


def _announce(upload: Upload) -> None:
    kind = ImageUploaded if upload.kind == Upload.Kind.IMAGE else VideoUploaded
    publish(kind(upload_id=upload.pk), about=upload)
