"""Processes of the shop, forked from one warm parent: each plays part after part until it is killed or sent home.

Forking costs milliseconds where starting Python and Django costs seconds, so tens of thousands of deaths are cheap.
"""

import gc
import json
import os
import pickle
import select
import signal
import struct
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.supervisor import _die_with as die_with
from tests.crash.boundaries import Boundaries, Kill, instrument

HUNG = 60.0  # seconds after which an actor is taken to hang: no flow comes near it
LENGTH = struct.Struct("!I")


@dataclass(frozen=True)
class Ending:
    """How one thing ended, and what the client heard until then."""

    killed: bool = False
    said: list[Any] = field(default_factory=list)
    gave: Any = None  # what the function returned
    seen: list[list[Any]] = field(default_factory=list)  # the boundaries it crossed, when they were counted
    broke: str = ""  # the traceback of what nobody caught

    @property
    def answer(self):
        """The last thing the client heard; None when the line broke without a word."""
        return self.said[-1] if self.said else None


@dataclass(frozen=True)
class Part:
    """What an actor is to do. With a `flow` it is watched: it may be killed, and it `say`s things to its client."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    flow: str = ""
    point: Callable[[Any], str] | None = None
    kill: Kill | None = None
    count: bool = False


class Actor:
    """One process. Give it a part with `start`, and wait for the end of that with `ending`."""

    def __init__(self, *, hits: Path, log: Path, prepare: Callable[[], None]) -> None:
        """`prepare` is called once in the new process. `hits` and `log` are files to append to."""
        assert threading.active_count() == 1, threading.enumerate()
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._out)
            os.close(self._in)
            die_with(parent)
            _live(to_child, from_child, hits, log, prepare)
        os.close(to_child)
        os.close(from_child)
        self.alive = True
        self._rest = b""

    def start(self, part: Part) -> "Actor":
        data = pickle.dumps(part)
        _write_all(self._out, LENGTH.pack(len(data)) + data)
        return self

    def ending(self, *, within: float = HUNG) -> Ending:
        """Wait for it. One that hangs is killed, and has broken."""
        said, deadline = [], time.monotonic() + within
        for line in self._lines(deadline):
            if "end" in line:
                return Ending(said=said, **line["end"])
            said.append(line["said"])
        hung = time.monotonic() > deadline
        status = self._bury()
        if hung or not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            return Ending(said=said, broke=f"hung for {within:g} s" if hung else f"ended with wait status {status}")
        return Ending(said=said, killed=True)

    def send_home(self) -> None:
        if self.alive:
            _write_all(self._out, LENGTH.pack(0))  # closing is not enough: actors forked since hold this pipe too
            os.close(self._out)
            os.waitpid(self.pid, 0)
            os.close(self._in)
            self.alive = False

    def _lines(self, deadline):
        """What it writes, line by line, until it is gone or hangs."""
        while True:
            line, end, rest = self._rest.partition(b"\n")
            if end:
                self._rest = rest
                yield json.loads(line)
                continue
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(self._in, 1 << 16) if ready else b""
            if not part:
                return
            self._rest += part

    def _bury(self):
        os.kill(self.pid, signal.SIGKILL)  # no harm to a dead one: it is not reaped yet, so the pid is still its own
        _, status = os.waitpid(self.pid, 0)
        os.close(self._in)
        os.close(self._out)
        self.alive = False
        return status


# -- inside the new process --------------------------------------------------------------------

watched: Boundaries | None = None  # of this process, for a flow that is several flows one after another


def _live(to_child, from_child, hits, log, prepare):
    status = 1
    try:
        _log_to(log)
        prepare()
        gc.disable()
        _be_watched(Boundaries(hits=hits))
        while part := _next(to_child):
            _write(from_child, {"end": _played(part, from_child)})
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _log_to(path):
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _be_watched(boundaries):
    global watched
    watched = boundaries
    instrument(boundaries)


def _next(pipe):
    [length] = LENGTH.unpack(_read(pipe, LENGTH.size) or LENGTH.pack(0))
    return pickle.loads(_read(pipe, length)) if length else None


def _played(part, pipe):
    assert watched is not None
    watched.start(part.flow, part.point, part.kill)
    try:
        told = {"say": lambda value: _tell(pipe, value)} if part.flow else {}
        gave = part.function(*part.args, **told)
    except Exception:
        return {"broke": traceback.format_exc()[-4000:]}
    finally:
        seen, _ = watched.seen, watched.start("", None, None)
    return {"gave": gave, "seen": [[b.n, b.kind, b.text, b.lasting] for b in seen] if part.count else []}


def _tell(pipe, value):
    """Give the client its answer. It is a boundary too: before it, nobody knows; after it, the client does."""
    assert watched is not None
    with watched.crossing("answer", "to the client", lambda at: setattr(at, "told", True)):
        _write(pipe, {"said": value})


def _write(pipe, line):
    _write_all(pipe, json.dumps(line, default=str).encode() + b"\n")


def _write_all(pipe, data):
    while data:
        data = data[os.write(pipe, data) :]


def _read(pipe, count):
    data = b""
    while len(data) < count:
        part = os.read(pipe, count - len(data))
        if not part:
            return b""
        data += part
    return data
