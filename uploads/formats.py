"""Which formats we take, known by a file's first bytes. What a name or a browser says is only compared with it."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from uploads.limits import LONGEST_NAME

HEAD: Final = 64  # bytes are enough to know any of them


@dataclass(frozen=True, kw_only=True)
class Format:
    """name: ours. word: people's. kind: "image" or "video". extensions: under which files of it go about."""

    name: str
    word: str
    kind: str
    extensions: tuple[str, ...]


_ALL: Final = (
    Format(name="jpeg", word="JPEG", kind="image", extensions=("jpg", "jpeg", "jpe", "jfif")),
    Format(name="png", word="PNG", kind="image", extensions=("png", "apng")),
    Format(name="gif", word="GIF", kind="image", extensions=("gif",)),
    Format(name="webp", word="WebP", kind="image", extensions=("webp",)),
    Format(name="avif", word="AVIF", kind="image", extensions=("avif",)),
    # One container under two names: telephones call either the other.
    Format(name="mov", word="MP4 or MOV", kind="video", extensions=("mp4", "m4v", "mov", "qt")),
    Format(name="webm", word="WebM", kind="video", extensions=("webm",)),
)
FORMATS: Final = {one.name: one for one in _ALL}
WORDS: Final = "JPEG, PNG, WebP, GIF, AVIF, MP4, MOV and WebM"
ACCEPT: Final = ",".join(f".{extension}" for one in _ALL for extension in one.extensions)

ACCEPT_PICTURES: Final = ",".join(
    f".{extension}" for one in _ALL if one.kind == "image" for extension in one.extensions
)

_AVIF_BRANDS: Final = (b"avif", b"avis")
_OTHER_BRANDS: Final = (b"heic", b"heix", b"heif", b"mif1", b"msf1", b"hevc", b"crx ", b"jp2 ", b"M4A ", b"M4B ")
_ATOMS: Final = (b"moov", b"mdat", b"wide", b"free", b"skip")  # how QuickTime files began before they had brands
_FOR_DISPLAY: Final = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # Unicode's classes of what nobody sees


class NotAccepted(Exception):
    """It is nothing we take; the message says why, for a person."""


def recognised(head: bytes, *, name: str) -> Format:
    """What a file is that begins with `head` and is called `name`. Raises NotAccepted."""
    if not head:
        raise NotAccepted("The file is empty.")
    found = _sniffed(head[:HEAD])
    if found is None:
        raise NotAccepted(f"This is not a picture or video we can take. We take {WORDS}.")
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if extension not in FORMATS[found].extensions:
        said = f"named .{extension[:10]}" if extension else "without an extension in its name"
        raise NotAccepted(f"The file is {said}, but what is inside is {FORMATS[found].word}. Name it as what it is.")
    return FORMATS[found]


def _sniffed(head: bytes) -> str | None:
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"\x42\x82\x84webm" in head else None  # its DocType; "matroska" may hold anything
    return _in_atoms(head)


def _in_atoms(head: bytes) -> str | None:
    if head[4:8] in _ATOMS:
        return "mov"
    if head[4:8] != b"ftyp":
        return None
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, HEAD), 4))]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "avif"
    return None if brands[0] in _OTHER_BRANDS else "mov"


def shown(name: str) -> str:
    """A file's name as people may see it: no folders, nothing invisible, not endless."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(mark for mark in last if unicodedata.category(mark) not in _FOR_DISPLAY).strip()
    stem, dot, extension = plain.rpartition(".")
    if len(plain) > LONGEST_NAME:
        plain = f"{stem[: LONGEST_NAME - 12]}…{dot}{extension[:10]}"
    return plain or "unnamed"
