"""A copy of what we keep of a person: a ZIP file with JSON for each subject, and their files.

The job is a row and an event, as decisions about many deliveries are: it goes on whatever its worker does not survive,
with a broker or without. How far it is, is told file by file (`progress`). A worker that dies leaves no half file: the
ZIP is written to disk on the side, and stored in one piece.
"""

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import IO, Any, Final

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.utils import timezone

from notifications.audit import log as audit
from notifications.personal_data import progress
from notifications.personal_data.events import ExportAsked, ExportReady
from notifications.personal_data.models import Export, ExportQuerySet
from notifications.personal_data.registry import File as Member
from notifications.personal_data.registry import Holding, Person, holdings, with_references
from notifications.pipeline.events import publish

KEPT: Final = timedelta(days=3)  # it is a second copy of everything: long enough to fetch it, not to forget it
IN_MEMORY: Final = 5_000_000  # bytes of the ZIP, before it goes to a file
State = Export.State


class OneIsThere(Exception):
    """The last copy is on its way, or can still be fetched."""


def ask(*, user_id: int) -> Export:
    """A copy of everything, in the making. Raises OneIsThere: one at a time, and none while the last can be fetched."""
    forget(_over().of(user_id))
    try:
        with transaction.atomic():
            export = Export.objects.create(user_id=user_id, total=len(holdings))
            publish(ExportAsked(export_id=export.pk), about=export)
            audit.record("export.asked", about=f"user:{user_id}")
    except IntegrityError as error:
        raise OneIsThere from error
    return export


def gather(export: Export, person: Person) -> None:
    """Make the file and say that it is there. For the handler of `export.asked`, outside any transaction."""
    if export.state != State.RUNNING:
        return
    members = list(_members(with_references(person)))
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as out:
        _write(export, members, out)
        size = out.tell()
        out.seek(0)
        _store(export, out)
    _finish(export, size=size, files=len(members))


def open_file(export: Export) -> IO[bytes]:
    """The ZIP, for its owner, and a line in the audit log. Raises FileNotFoundError when it is gone."""
    found: IO[bytes] = default_storage.open(export.path)
    audit.record("export.fetched", about=f"user:{export.user_id}")
    return found


def forget(exports: Iterable[Export]) -> int:
    """The files first: a row that still names one is found again by the next call. Returns how many."""
    gone = 0
    for export in exports:
        default_storage.delete(export.path)
        progress.forget(export)
        gone += Export.objects.filter(pk=export.pk).exclude(state=State.GONE).update(state=State.GONE)
    return gone


def prune() -> int:
    """Forget those whose time is over. Returns how many."""
    return forget(_over())


def _over() -> ExportQuerySet:
    return Export.objects.filter(state=State.READY, expires_at__lte=timezone.now())


def _members(person: Person) -> Iterator[Member]:
    for holding in holdings.values():
        yield f"{holding.name}.json", partial(_told, holding, person)
        yield from holding.files(person)


def _told(holding: Holding, person: Person) -> IO[bytes]:
    rows = list(holding.rows(person))
    return io.BytesIO(json.dumps(rows, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False).encode())


def _write(export: Export, members: list[Member], out: Any) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for count, (name, opened) in enumerate(members):
            progress.tell(export, done=count, total=len(members))
            with opened() as source, archive.open(name, "w") as target:
                shutil.copyfileobj(source, target)


def _store(export: Export, content: Any) -> None:
    default_storage.delete(export.path)  # of a worker that died before it could say so
    default_storage.save(export.path, File(content))


def _finish(export: Export, *, size: int, files: int) -> None:
    now = timezone.now()
    ready = {"state": State.READY, "bytes": size, "ready_at": now, "expires_at": now + KEPT}
    with transaction.atomic(durable=True):
        mine = Export.objects.filter(pk=export.pk, state=State.RUNNING)
        if mine.update(done=files, total=files, **ready):
            progress.tell(export, done=files, total=files, state=progress.SUCCESS)
            publish(ExportReady(export_id=export.pk), about=export)
            return
    default_storage.delete(export.path)  # the account was closed meanwhile
    progress.forget(export)
