"""What we keep of a person's files: for them to take along, and to be forgotten."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO

from notifications.personal_data.registry import Person, Row, register
from notifications.pipeline.events import subject_of
from uploads import intake, storage
from uploads.models import Rendition, Upload, UploadQuerySet, Usage


def tell(person: Person) -> Iterator[Row]:
    """Each upload of theirs in plain values, the oldest first; its `files` are names that `files` has."""
    for upload in _theirs(person):
        yield {
            "id": str(upload.uid),
            "name": upload.name,
            "kind": upload.kind,
            "status": upload.status,
            "reason": upload.reason,
            "bytes": upload.bytes,
            "sha256": upload.sha256,
            "created_at": upload.created_at.isoformat(),
            "files": [name for name, _ in _files(upload)],
        }


def files(person: Person) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """What they handed in and what we made of it: under which name they get it, and what opens it."""
    for upload in _theirs(person):
        yield from ((name, partial(storage.opened, path)) for name, path in _files(upload))


def references(person: Person) -> Iterable[str]:
    return [subject_of(upload) for upload in _theirs(person)]


def erase(person: Person) -> None:
    """Their uploads are gone now, and their files soon. Twice is harmless."""
    for upload in _theirs(person):
        _erase(upload)
    Usage.objects.filter(owner_id=person.user_id).delete()


def _erase(upload: Upload) -> None:
    """What the shop shows of a member of staff is the shop's: it stays, without the name they gave it."""
    try:
        intake.delete(upload=upload)
    except intake.InUse:
        Upload.objects.filter(pk=upload.pk).update(name=str(upload.uid))


def _theirs(person: Person) -> Iterator[Upload]:
    uploads: UploadQuerySet = Upload.objects.filter(owner_id=person.user_id)
    return uploads.order_by("pk").prefetch_related("renditions").iterator(200)


def _files(upload: Upload) -> Iterator[tuple[str, str]]:
    """Names for people, and names in the store. Ours lie apart: a person may call a picture large.jpeg, too."""
    if upload.status != Upload.Status.REJECTED:
        yield f"uploads/{upload.uid}/{upload.name}", upload.original
    made: list[Rendition] = sorted(upload.renditions.all(), key=lambda one: (one.name, one.format))
    for one in made:
        yield f"uploads/{upload.uid}/made/{one.name}.{one.format}", one.path


register("uploads", rows=tell, erase=erase, references=references, files=files)
