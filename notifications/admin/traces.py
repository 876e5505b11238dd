"""A traceback for reading: our own frames in full, the runs of library frames between them folded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

from django.conf import settings

_FRAME: Final = re.compile(r'^  File "(?P<path>[^"]+)", line \d+')


@dataclass(frozen=True, kw_only=True)
class Block:
    """Neighbouring lines of one kind: "ours", "library", or "words" (what is no frame)."""

    kind: str
    text: str

    @property
    def frames(self) -> int:
        return sum(bool(_FRAME.match(line)) for line in self.text.splitlines())


def blocks(traceback: str) -> list[Block]:
    """The traceback cut where it enters and leaves our code. Our paths start at the shop's own folder."""
    cut = groupby(_kinds(traceback), key=itemgetter(0))
    return [Block(kind=kind, text="\n".join(line for _, line in lines)) for kind, lines in cut]


def _kinds(traceback: str) -> Iterator[tuple[str, str]]:
    kind = "words"
    for line in traceback.splitlines():
        frame = _FRAME.match(line)
        if frame:
            kind = "ours" if _is_ours(frame["path"]) else "library"
        elif not line.startswith("    "):
            kind = "words"
        yield kind, line.replace(f"{settings.BASE_DIR}/", "")


def _is_ours(path: str) -> bool:
    return path.startswith(f"{settings.BASE_DIR}/") and "site-packages" not in path
