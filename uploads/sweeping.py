"""Files that nothing speaks of any more are removed: at once where we know of them, daily what a crash has left."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from uploads import storage
from uploads.models import Rendition, Upload

_ORIGINAL: Final = re.compile(r"originals/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
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
    """Those that belong to an upload which may still need them."""
    renditions = set(Rendition.objects.filter(path__in=names).values_list("path", flat=True))
    uids = [name.removeprefix("originals/") for name in names if _ORIGINAL.fullmatch(name)]
    needed = Upload.objects.filter(uid__in=uids).exclude(status=Upload.Status.REJECTED)
    return renditions | {upload.original for upload in needed.only("uid")}


def _in_batches(names: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(names)
    while some := list(islice(rest, AT_ONCE)):
        yield some
