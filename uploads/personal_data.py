"""What we keep of a person's files: for them to take along, and to be forgotten."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from uploads import intake
from uploads.models import Rendition, Upload, Usage


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A file in the store, and under which name its owner gets it."""

    path: str
    name: str


def rows(*, owner: Any) -> Iterator[dict[str, Any]]:
    """Each upload of theirs in plain JSON values, the oldest first; `files` are the names that `files` has."""
    for upload in Upload.objects.owned_by(owner).order_by("pk").prefetch_related("renditions").iterator(200):
        yield {
            "id": str(upload.uid),
            "name": upload.name,
            "kind": upload.kind,
            "status": upload.status,
            "reason": upload.reason,
            "bytes": upload.bytes,
            "sha256": upload.sha256,
            "created_at": upload.created_at.isoformat(),
            "files": [kept.name for kept in _files(upload)],
        }


def files(*, owner: Any) -> Iterator[Kept]:
    """Their files, what they handed in and what we made of it. Read them with `storage.parts` or `storage.fetched`."""
    for upload in Upload.objects.owned_by(owner).order_by("pk").prefetch_related("renditions").iterator(200):
        yield from _files(upload)


def erase(*, owner: Any) -> int:
    """Their uploads are gone now, and their files soon. Returns how many. Twice is harmless."""
    erased = 0
    for upload in Upload.objects.owned_by(owner).order_by("pk").iterator(200):
        intake.delete(upload=upload)
        erased += 1
    Usage.objects.filter(owner=owner).delete()
    return erased


def _files(upload: Upload) -> Iterator[Kept]:
    if upload.status != Upload.Status.REJECTED:
        yield Kept(path=upload.original, name=f"uploads/{upload.uid}/{upload.name}")
    made: list[Rendition] = sorted(upload.renditions.all(), key=lambda one: (one.name, one.format))
    for one in made:
        yield Kept(path=one.path, name=f"uploads/{upload.uid}/{one.name}.{one.format}")
