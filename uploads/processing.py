"""From a file to its renditions. Killed at any point, it starts again; who was overtaken writes nothing any more."""

import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from notifications.pipeline.events import DomainEvent, publish
from uploads import quota, storage
from uploads.decoding import Made, Refused, pictured
from uploads.events import ImageProcessed, UploadRejected, VideoTranscoded
from uploads.filming import filmed, posed
from uploads.models import Rendition, Upload

TOLD_EVERY: Final = 0.5  # seconds between two words of progress
FILM_ENDS_AT: Final = 95  # percent; the poster is the rest
Status = Upload.Status


class Overtaken(Exception):
    """Somebody else works on it, or it is gone: what we made is thrown away."""


@dataclass(frozen=True)
class Run:
    """One try at one upload. Every write names it, and counts only while nobody has begun another."""

    upload: Upload
    id: uuid.UUID

    def write(self, **changes: Any) -> None:
        """Raises Overtaken when the upload is not ours any more."""
        mine = Upload.objects.filter(pk=self.upload.pk, run=self.id, status=Status.PROCESSING)
        if not mine.update(**changes):
            raise Overtaken(str(self.upload))


def make_renditions(*, upload_id: int) -> None:
    """All sizes of a picture, or the reason why there are none. Done before is no error.

    Raises sandbox.Lost or OSError for what is our fault, so that it is tried again.
    """
    if run := _begun(upload_id):
        _carried_out(run, lambda original, folder: _picture(run, original, folder))


def transcode(*, upload_id: int) -> None:
    """A video in sizes that every browser plays, or the reason why there are none. Raises as make_renditions."""
    if Upload.objects.filter(pk=upload_id, status=Status.PROCESSING, renditions__format="mp4").exists():
        return  # its poster comes next
    if run := _begun(upload_id):
        _carried_out(run, lambda original, folder: _film(run, original, folder))


def make_poster(*, upload_id: int) -> None:
    """The picture that stands for a video, in all sizes: the last step. Raises as make_renditions."""
    if run := _begun(upload_id, progress=FILM_ENDS_AT):
        film = run.upload.renditions.filter(format="mp4").order_by("-height", "-width").first()
        if film is not None:
            _carried_out(run, lambda path, folder: _poster(run, path, folder), source=film.path)


def _begun(upload_id: int, *, progress: int = 0) -> Run | None:
    """From now on its words count and no earlier run's. None when there is nothing to do."""
    run = uuid.uuid4()
    waiting = Upload.objects.filter(pk=upload_id, status__in=[*Upload.UNFINISHED, Status.FAILED])
    anew = {"reason": "", "finished_at": None, "progress": progress}
    try:
        begun = waiting.update(run=run, status=Status.PROCESSING, **anew)
    except IntegrityError:
        return None  # it had failed, and its owner has handed the same file in again
    upload = Upload.objects.filter(pk=upload_id).first() if begun else None
    return Run(upload, run) if upload else None


def _carried_out(run: Run, work: Callable[[Path, Path], None], *, source: str = "") -> None:
    storage.clear_workplaces()
    with storage.workplace() as folder:
        try:
            with storage.fetched(source or run.upload.original, folder) as path:
                work(path, folder)
        except Refused as why:
            _reject(run, str(why))
        except Overtaken:
            return


def _picture(run: Run, original: Path, folder: Path) -> None:
    seen = pictured(original, folder, format=run.upload.format, hear=_teller(run))
    facts = {"width": seen.width, "height": seen.height}
    _finish(run, seen.made, ImageProcessed(upload_id=run.upload.pk), **facts, **_ready())


def _film(run: Run, original: Path, folder: Path) -> None:
    seen = filmed(original, folder, format=run.upload.format, hear=_teller(run))
    facts = {"width": seen.width, "height": seen.height, "duration_ms": seen.duration_ms}
    _finish(run, seen.made, VideoTranscoded(upload_id=run.upload.pk), **facts, progress=FILM_ENDS_AT)


def _poster(run: Run, film: Path, folder: Path) -> None:
    seen = posed(film, folder, duration_ms=run.upload.duration_ms or 0)
    _finish(run, seen.made, None, **_ready())


def _ready() -> dict[str, Any]:
    return {"status": Status.READY, "progress": 100, "finished_at": timezone.now()}


def _teller(run: Run) -> Callable[[float], None]:
    """Writes how far it is, now and then. What it raises when we were overtaken ends the decoder.

    Of two sizes at once ffmpeg names now the one, now the other: the bar stays where the farther one was.
    """
    last, farthest = time.monotonic(), 0

    def tell(share: float) -> None:
        nonlocal last, farthest
        if time.monotonic() - last >= TOLD_EVERY:
            last = time.monotonic()
            farthest = max(farthest, min(FILM_ENDS_AT - 1, int(share * FILM_ENDS_AT)))
            run.write(progress=farthest)

    return tell


def _finish(run: Run, made: Sequence[Made], event: DomainEvent | None, **changes: Any) -> None:
    """Files first, under names that no other run uses, then the rows, in one transaction. Raises Overtaken."""
    rows = [_stored(run.upload, one) for one in made]
    try:
        with transaction.atomic(durable=True):
            run.write(**changes)
            old = _replaced(run.upload, rows)
            Rendition.objects.bulk_create(rows)
            if event:
                publish(event, about=run.upload)
    except Overtaken:
        storage.remove(*(row.path for row in rows))
        raise
    storage.remove(*old)


def _stored(upload: Upload, made: Made) -> Rendition:
    path = f"{upload.folder}/{secrets.token_hex(16)}.{made.format}"
    storage.keep(path, made.path)
    return Rendition(
        upload=upload,
        name=made.name,
        format=made.format,
        width=made.width,
        height=made.height,
        bytes=made.bytes,
        path=path,
    )


def _replaced(upload: Upload, rows: Sequence[Rendition]) -> list[str]:
    """What an earlier, whole run made of the same; a person's retry makes it anew."""
    old = upload.renditions.filter(name__in={row.name for row in rows})
    paths = list(old.values_list("path", flat=True))
    old.delete()
    return paths


def _reject(run: Run, why: str) -> None:
    """For good: its room is free again, and its files go, also those of a step before."""
    upload = run.upload
    with transaction.atomic(durable=True):
        run.write(status=Status.REJECTED, reason=why[:300], finished_at=timezone.now())
        quota.give_back(owner_id=upload.owner_id, size=upload.bytes)
        upload.renditions.all().delete()
        publish(UploadRejected(upload_id=upload.pk, uid=str(upload.uid), reason=why[:300]), about=upload)
