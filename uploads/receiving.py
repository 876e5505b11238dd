"""A file on its way in: recognised by its first bytes, measured and digested as it is written, stopped at the limit."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from uploads.formats import HEAD, Format, recognised, shown
from uploads.limits import LARGEST, in_words


class TooLarge(Exception):
    """It is larger than we take; the message names the limit."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """A whole file that begins as its format does. Nobody has decoded it yet."""

    path: Path
    name: str
    format: Format
    sha256: str
    bytes: int


class Reception:
    """Writes one file into `folder`, chunk by chunk. Raises NotAccepted or TooLarge as soon as it is clear."""

    def __init__(self, *, name: str, folder: Path) -> None:
        self._name, self._path = shown(name), folder / secrets.token_hex(8)
        self._out = self._path.open("wb")
        self._digest, self._size, self._head = hashlib.sha256(), 0, b""
        self._format: Format | None = None

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._digest.update(chunk)
        self._out.write(chunk)
        if self._format is None:
            self._head += chunk[:HEAD]
        if len(self._head) >= HEAD:
            self._look()

    def _look(self) -> Format:
        self._format = self._format or recognised(self._head, name=self._name)
        limit = LARGEST[self._format.kind]
        if self._size > limit:
            words = "picture" if self._format.kind == "image" else "video"
            raise TooLarge(f"The file is too large: a {words} may have {in_words(limit)}.")
        return self._format

    def end(self) -> Received:
        """Raises NotAccepted when too little came to know what it is."""
        self.close()
        return Received(
            path=self._path,
            name=self._name,
            format=self._look(),
            sha256=self._digest.hexdigest(),
            bytes=self._size,
        )

    def close(self) -> None:
        self._out.close()

    def forget(self) -> None:
        """What came of it is gone."""
        self.close()
        self._path.unlink(missing_ok=True)


def received(*, name: str, chunks: Iterable[bytes], folder: Path) -> Received:
    """The file that `chunks` make. Raises NotAccepted or TooLarge."""
    reception = Reception(name=name, folder=folder)
    try:
        for chunk in chunks:
            reception.write(chunk)
        return reception.end()
    finally:
        reception.close()
