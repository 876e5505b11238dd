"""Pictures, decoded in a jail: what came of it, or in words why nothing did."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from uploads import limits
from uploads.media import pictures, sandbox
from uploads.media.pictures import UNREADABLE
from uploads.media.sandbox import Limits, Ran

MEGA: Final = 2**20
# With program and libraries it stays below 300 MB. Wall time is for machines that do much else.
FOR_PICTURES: Final = Limits(memory=250 * MEGA, cpu=8, wall=60, file=40 * MEGA)
TOO_SLOW: Final = "Decoding this file takes longer than we give to one."
Hear = Callable[[float], None]


class Refused(Exception):
    """The file cannot be shown; the message says why, for a person."""


@dataclass(frozen=True, kw_only=True)
class Made:
    path: Path
    name: str
    format: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Seen:
    """How large it is as people see it, and what was made of it. duration_ms: 0 for a picture."""

    width: int
    height: int
    made: Sequence[Made]
    duration_ms: int = 0


def pictured(source: Path, folder: Path, *, format: str, hear: Hear | None = None) -> Seen:
    """All sizes of a picture, as files in `folder`. hear: is told how much is done, from 0 to 1.

    Raises Refused, or sandbox.Lost when it says nothing about the file.
    """
    most = {
        "pixels": limits.MOST_PIXELS[format],
        "side": limits.LONGEST_SIDE,
        "frames": limits.MOST_FRAMES,
    }
    job = {"source": str(source), "target": str(folder), "format": format, "limits": most}
    argv = [sys.executable, "-I", str(Path(pictures.__file__)), json.dumps(job)]
    said = _facts(sandbox.run(argv, folder=folder, limits=FOR_PICTURES, hear=_shares(hear) if hear else None))
    made = [Made(path=folder / f"{one['name']}.{one['format']}", **one) for one in said["renditions"]]
    return Seen(width=said["width"], height=said["height"], made=made)


def _shares(hear: Hear) -> Callable[[bytes], None]:
    def listen(line: bytes) -> None:
        with suppress(ValueError):
            hear(float(line))

    return listen


def _facts(ran: Ran) -> dict[str, Any]:
    endured(ran)
    try:
        said: dict[str, Any] = dict(json.loads(ran.said.splitlines()[-1]))
    except (ValueError, IndexError, TypeError) as error:
        raise Refused(UNREADABLE) from error
    if "refused" in said:
        raise Refused(said["refused"])
    return said


def endured(ran: Ran) -> None:
    """Raises Refused when it did not come to a good end, whatever the file did to it."""
    if ran.took_too_much_time:
        raise Refused(TOO_SLOW)
    if ran.code:
        raise Refused(UNREADABLE)
