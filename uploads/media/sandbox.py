"""A decoder in a process of its own, which may use so much memory, time and disk, and is killed when it does not end.

It gets no secrets: an empty environment, a folder of its own, no network where the system can take that away.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from uploads.media.jail import OUR_FAULT

JAIL: Final = Path(__file__).with_name("jail.py")
MOST_SAID: Final = 256 * 1024  # bytes of its output that are kept
MOST_COMPLAINED: Final = 32 * 1024
LOOK_EVERY: Final = 0.02  # seconds, at a process that has closed its output and not ended
ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",  # else each thread reserves memory that its limit counts
    "OMP_NUM_THREADS": "1",
}


class Lost(Exception):
    """It did not come to an end that says anything about the file: killed from outside, or this machine's fault."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """memory: bytes of its own, without programs and libraries. cpu, wall: seconds. file: bytes of each it writes."""

    memory: int
    cpu: int
    wall: float
    file: int


@dataclass(frozen=True, kw_only=True)
class Ran:
    """code: its exit code, or minus the signal that ended it. cpu: seconds."""

    code: int
    said: bytes
    complained: str
    cpu: float

    @property
    def took_too_much_time(self) -> bool:
        return self.code == -signal.SIGXCPU


def run(argv: Sequence[str], *, folder: Path, limits: Limits, hear: Callable[[bytes], None] | None = None) -> Ran:
    """Run it to its end. hear: is given each line of its output when it comes; what it raises ends the process.

    Raises Lost when it was killed from outside, could not be started, or had not ended after `wall` seconds.
    """
    jail = [sys.executable, "-I", "-S", str(JAIL), str(limits.memory), str(limits.cpu), str(limits.file)]
    with (folder / "complaints").open("w+b") as complaints:
        process = subprocess.Popen(  # noqa: S603
            [*jail, *argv],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,
        )
        try:
            said, usage = _attended(process, time.monotonic() + limits.wall, hear)
        finally:
            _end(process)
        return _judged(process, said, usage, _end_of(complaints))


def _attended(process: Any, deadline: float, hear: Callable[[bytes], None] | None) -> tuple[bytes, Any]:
    said, line = b"", b""
    for chunk in _output(process.stdout, deadline):
        said = (said + chunk)[-MOST_SAID:]
        if hear:
            *lines, line = (line + chunk)[-MOST_SAID:].split(b"\n")
            for whole in lines:
                hear(whole)
    return said, _reaped(process, deadline)


def _output(pipe: IO[bytes], deadline: float) -> Iterator[bytes]:
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if ready.select(left):
                if not (chunk := os.read(pipe.fileno(), 64 * 1024)):
                    return
                yield chunk


def _reaped(process: Any, deadline: float) -> Any:
    """What it used. Raises Lost when it has not ended in time."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() > deadline:
            raise Lost("the decoder did not come to an end")
        time.sleep(LOOK_EVERY)


def _end(process: Any) -> None:
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()


def _judged(process: Any, said: bytes, usage: Any, complained: str) -> Ran:
    if process.returncode == -signal.SIGKILL:
        raise Lost("the decoder was killed")
    if process.returncode == OUR_FAULT:
        raise Lost(f"the decoder cannot work here: {complained[-300:]}")
    return Ran(
        code=process.returncode,
        said=said,
        complained=complained,
        cpu=usage.ru_utime + usage.ru_stime,
    )


def _end_of(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - MOST_COMPLAINED))
    return file.read().decode(errors="replace")
