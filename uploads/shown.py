"""An upload as its owner sees it: in words, with the addresses of what was made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from uploads.addresses import address
from uploads.limits import in_words
from uploads.models import Rendition, Upload

NAMES: Final = ("thumb", "small", "medium", "large", "poster", "480p", "720p")  # as they are listed
THUMB: Final = ("thumb", "webp")
POSTER: Final = ("poster", "webp")


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One rendition, with its signed address."""

    name: str
    format: str
    width: int
    height: int
    size: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """moving: whether its row will change by itself. seen: what its row looked like."""

    upload: Upload
    size: str
    moving: bool
    seen: str
    thumb: Copy | None
    film: Copy | None
    poster: Copy | None
    link: Copy | None
    copies: Sequence[Copy]


def shown(upload: Upload) -> Shown:
    """Reads its renditions: fetch them with it, where there are many."""
    copies = [_copy(one) for one in sorted(upload.renditions.all(), key=_place)] if upload.status == "ready" else []
    films = [one for one in copies if one.format == "mp4"]
    return Shown(
        upload=upload,
        size=in_words(upload.bytes),
        moving=upload.is_unfinished,
        seen=f"{upload.status}-{upload.progress}",
        thumb=_named(copies, *THUMB),
        film=films[-1] if films else None,
        poster=_named(copies, *POSTER),
        link=films[-1] if films else _named(copies, "large", "jpeg") or _named(copies, "large", "png"),
        copies=copies,
    )


def _copy(rendition: Rendition) -> Copy:
    return Copy(
        name=rendition.name,
        format=rendition.format,
        width=rendition.width,
        height=rendition.height,
        size=in_words(rendition.bytes),
        url=address(rendition),
    )


def _place(rendition: Rendition) -> tuple[int, str]:
    return NAMES.index(rendition.name), rendition.format


def _named(copies: Sequence[Copy], name: str, format: str) -> Copy | None:
    return next((one for one in copies if (one.name, one.format) == (name, format)), None)
