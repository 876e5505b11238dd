"""Where files lie: a folder of ours, or a bucket. Names are made by us; nothing of a person's is in them."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

ABANDONED: Final = 24 * 3600  # seconds; nothing that is still worked on is as old
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
DRAFTS: Final = "drafts"
FOLDERS: Final = ("originals", "renditions", "exports", DRAFTS)  # all that the shop keeps; others may share a bucket
PART: Final = 256 * 1024  # bytes in memory at once


class LocalStore(FileSystemStorage):
    """A file is there whole or not at all, also after the machine has lost its power."""

    def _save(self, name: str, content: File) -> str:  # type: ignore[type-arg]
        final, draft = Path(self.path(name)), Path(self.path(f"{DRAFTS}/{secrets.token_hex(16)}"))
        for folder in (final.parent, draft.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            _write(content, draft)
            draft.rename(final)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(final.parent)
        return name

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002  Django's
        return name  # every name is given once


def _write(content: Any, draft: Path) -> None:
    """Moved where it can be: a large file need not be written twice."""
    here: str | None = getattr(content, "temporary_path", None)
    if here is not None:
        with suppress(OSError):  # another disk
            Path(here).rename(draft)
            return
    with draft.open("wb") as out:
        shutil.copyfileobj(content, out, PART)
        out.flush()
        os.fsync(out.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def store() -> Storage:
    return storages["media"]


def keep(name: str, path: Path) -> None:
    """The file at `path`, ours to take, is in the store under `name` when this returns."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
        content = File(handle)
        content.temporary_path = str(path)  # type: ignore[attr-defined]
        store().save(name, content)


def opened(name: str) -> IO[bytes]:
    """The file, to be read and closed. Raises FileNotFoundError when there is none."""
    content: IO[bytes] = store().open(name)
    return content


def parts(name: str, first: int, last: int) -> Iterator[bytes]:
    """The bytes of a file from `first` to `last`, both with it. Raises FileNotFoundError when there is none."""
    return _parts_of_bucket(name, first, last) if is_bucket() else _parts_of_file(name, first, last)


def _parts_of_file(name: str, first: int, last: int) -> Iterator[bytes]:
    with store().open(name) as source:
        source.seek(first)
        left = last - first + 1
        while left > 0 and (part := source.read(min(PART, left))):
            left -= len(part)
            yield part


def _parts_of_bucket(name: str, first: int, last: int) -> Iterator[bytes]:
    there: Any = store()
    try:
        body = there.bucket.Object(name).get(Range=f"bytes={first}-{last}")["Body"]
    except there.connection.meta.client.exceptions.NoSuchKey as error:
        raise FileNotFoundError(name) from error
    try:
        yield from body.iter_chunks(PART)
    finally:
        body.close()


@contextmanager
def fetched(name: str, folder: Path) -> Iterator[Path]:
    """A path under which the file can be read. Raises FileNotFoundError when the store has no such file."""
    if is_bucket():
        copy = folder / "original"
        with store().open(name) as source, copy.open("wb") as out:
            shutil.copyfileobj(source, out, PART)
        yield copy
        copy.unlink()
    else:
        yield Path(store().path(name))


def remove(*names: str) -> None:
    """What is not there is no error."""
    for name in names:
        store().delete(name)


def remove_folder(folder: str) -> None:
    """All of a folder that has no folders in it, and the folder."""
    for name in _files(folder):
        store().delete(f"{folder}/{name}")
    if not is_bucket():
        with suppress(OSError):  # not there, or a file came meanwhile
            Path(store().path(folder)).rmdir()


def is_bucket() -> bool:
    """Whether files lie on another machine."""
    return not isinstance(store(), FileSystemStorage)


def everything(*, older_than: float) -> Iterator[str]:
    """Every file that lies there for so many seconds."""
    until = time.time() - older_than
    for folder in FOLDERS:
        listed = _in_bucket(folder) if is_bucket() else _on_disk(folder)
        yield from (name for name, changed in listed if changed <= until)


def _in_bucket(folder: str) -> Iterator[tuple[str, float]]:
    """Names and times, a thousand with each question: to ask for each file's would take a night."""
    there: Any = store()
    for found in there.bucket.objects.filter(Prefix=f"{folder}/"):
        yield found.key, found.last_modified.timestamp()


def _on_disk(folder: str) -> Iterator[tuple[str, float]]:
    root = Path(store().path(""))
    for where, _, names in os.walk(root / folder):
        for name in names:
            path = Path(where, name)
            with suppress(FileNotFoundError):  # deleted meanwhile
                yield path.relative_to(root).as_posix(), path.stat().st_mtime


def _files(folder: str) -> list[str]:
    try:
        return store().listdir(folder)[1]
    except FileNotFoundError:
        return []


class DiskFull(OSError):
    """There is no room on this machine, or in the store. Nothing half is kept."""


@contextmanager
def workplace() -> Iterator[Path]:
    """A new folder on this machine, gone afterwards; what killed processes have left there goes in time.

    Raises DiskFull, also when what is done inside meets that.
    """
    shop = Path(settings.UPLOADS_WORK)
    shop.mkdir(parents=True, exist_ok=True)
    folder = shop / secrets.token_hex(16)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(str(error)) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_workplaces(*, older_than: float = ABANDONED) -> int:
    """Forget what processes of this machine have left behind. Returns how many."""
    shop, until = Path(settings.UPLOADS_WORK), time.time() - older_than
    left = [one for one in (shop.iterdir() if shop.is_dir() else ()) if _age(one) <= until]
    for one in left:
        shutil.rmtree(one, ignore_errors=True)
    return len(left)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
