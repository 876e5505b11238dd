"""Files that nothing speaks of any more are removed: at once where we know of them, daily what a crash has left."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from notifications.personal_data.models import Export
from uploads import storage
from uploads.models import Rendition, Upload

_UUID: Final = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_ORIGINAL: Final = re.compile(rf"originals/{_UUID}")
_COPY: Final = re.compile(rf"exports/{_UUID}\.zip")
AT_ONCE: Final = 500  # names in one question to the database


def remove_files(*, uid: str) -> None:
    """All files of an upload that is gone, or will never be shown. What is not there is no error."""
    gone = Upload(uid=uid)
    storage.remove(gone.original)
    storage.remove_folder(gone.folder)


def sweep(*, older_than: float = storage.ABANDONED) -> int:
    """Remove every file of so many seconds that no row names. Returns how many.

    A file is in the store before its row is: nothing as young as that may be touched.
    """
    storage.clear_workplaces(older_than=older_than)
    swept = 0
    for names in _in_batches(storage.everything(older_than=older_than)):
        orphans = set(names) - _named(names)
        storage.remove(*orphans)
        swept += len(orphans)
    return swept


def _named(names: Sequence[str]) -> set[str]:
    """Those that belong to an upload which may still need them, or are copies of people's data on their way."""
    renditions = set(Rendition.objects.filter(path__in=names).values_list("path", flat=True))
    needed = Upload.objects.filter(uid__in=_uids(_ORIGINAL, names)).exclude(status=Upload.Status.REJECTED)
    copies = Export.objects.filter(uid__in=_uids(_COPY, names)).exclude(state=Export.State.GONE)
    return renditions | {one.original for one in needed.only("uid")} | {one.path for one in copies.only("uid")}


def _uids(pattern: re.Pattern[str], names: Iterable[str]) -> list[str]:
    return [found[1] for name in names if (found := pattern.fullmatch(name))]


def _in_batches(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while some := list(islice(rest, AT_ONCE)):
        yield some
