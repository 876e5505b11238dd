"""Child processes: started, started again when they die, and stopped together.

Knows nothing of the shop. Everything happens in the calling thread: a child on Linux is told to
die with the thread that started it, so that not even a killed supervisor leaves one behind.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

FIRST_DELAY: Final = 0.2  # seconds before the first restart of a dead child
LONGEST_DELAY: Final = 5.0
STEADY: Final = 10.0  # a child alive this long has earned a quick restart again
STOP_GRACE: Final = 2.7  # for those that work for the buyers; they clean up in less
LAST_GRACE: Final = 0.4  # for those that serve the others; the sum stays under 5 s with room for a busy machine
LOG_LIMIT: Final = 10_000_000  # bytes; a longer log is begun anew when its child starts
LOG_TAIL: Final = 15  # lines: a traceback's last steps and its message
PR_SET_PDEATHSIG: Final = 1
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run. `folder` is made before every start; `serves` says that others need it until they have stopped."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    pass_fds: Sequence[int] = ()
    folder: Path | None = None
    serves: bool = False


@dataclass(kw_only=True)
class Child:
    program: Program
    process: "subprocess.Popen[bytes]"
    started: float
    delay: float = FIRST_DELAY
    restart_at: float | None = None
    deaths: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid


class Supervisor:
    """Keeps programs running. Logs go to `logs`/<name>.log; `say` gets a line for people on each death."""

    def __init__(self, *, logs: Path, cwd: Path, say: Callable[[str], None]) -> None:
        self.children: dict[str, Child] = {}
        self._logs, self._cwd, self._say = logs, cwd, say

    def start(self, program: Program) -> Child:
        """Start it now and from now on whenever it dies."""
        child = Child(program=program, process=self._spawn(program), started=time.monotonic())
        self.children[program.name] = child
        return child

    def restart_as(self, program: Program) -> None:
        """Leave the child of this name alone; when it dies, start this program in its place."""
        self.children[program.name].program = program

    def forget(self, name: str) -> None:
        """Stop this one at once and do not start it again."""
        _kill_group(self.children.pop(name), signal.SIGKILL)

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def end_of_log(self, name: str) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-LOG_TAIL:])

    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self.children.items()}

    def tick(self) -> bool:
        """Notice deaths and restart what is due. Returns whether a pid has changed."""
        now, changed = time.monotonic(), False
        for child in self.children.values():
            if child.restart_at is None and child.process.poll() is not None:
                self._bury(child, now)
            if child.restart_at is not None and now >= child.restart_at:
                self._restart(child, now)
                changed = True
        return changed

    def wait(self, longest: float) -> None:
        """Sleep until a restart is due, a signal arrives, or `longest` seconds have passed."""
        due = [child.restart_at for child in self.children.values() if child.restart_at is not None]
        pause = min([longest, *(at - time.monotonic() for at in due)])
        if pause > 0:
            _sleep(pause)

    def stop(self) -> None:
        """Stop all in about 3 s at most: first those that work, then those that serve them, by force what is left."""
        serving = [child for child in self.children.values() if child.program.serves]
        working = [child for child in self.children.values() if not child.program.serves]
        _stop_together(working, STOP_GRACE)
        _stop_together(serving, LAST_GRACE)
        for child in working + serving:
            _kill_group(child, signal.SIGKILL)
        self.children.clear()

    def _spawn(self, program: Program) -> "subprocess.Popen[bytes]":
        if program.folder:
            program.folder.mkdir(parents=True, exist_ok=True)
        with open_log(self.log(program.name)) as log:
            return subprocess.Popen(  # noqa: S603
                program.argv,
                env={**os.environ, **program.env},
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(program.pass_fds),
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor alone
                preexec_fn=partial(_die_with, os.getpid()) if _libc else None,
            )

    def _bury(self, child: Child, now: float) -> None:
        if now - child.started >= STEADY:
            child.delay, child.deaths = FIRST_DELAY, 0
        child.deaths += 1
        child.restart_at = now + child.delay
        self._say(f"{child.program.name} {how_it_ended(child.process.returncode)}; starting it again")
        child.delay = min(child.delay * 2, LONGEST_DELAY)

    def _restart(self, child: Child, now: float) -> None:
        child.process, child.started, child.restart_at = self._spawn(child.program), now, None


def open_log(path: Path) -> Any:
    """The log for appending, begun anew when it has grown past its limit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    too_long = path.exists() and path.stat().st_size > LOG_LIMIT
    return path.open("wb" if too_long else "ab")


def how_it_ended(returncode: int) -> str:
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt inside; the death of a child wakes `Supervisor.wait`."""
    wake_up = {signal.SIGCHLD: lambda *_: None, **dict.fromkeys(STOP_SIGNALS, _interrupt)}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        del wake_up[signal.SIGHUP]  # started by nohup: the end of the terminal is not the end of the shop
    before = {number: signal.signal(number, handler) for number, handler in wake_up.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not interrupt the stopping: it takes less than 5 s by itself."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _sleep(seconds: float) -> None:
    # time.sleep() and select() take up their sleep again after a signal; a byte in this pipe ends it.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        select.select([reader], [], [], seconds)
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def _die_with(parent: int) -> None:
    assert _libc
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _stop_together(children: Sequence[Child], grace: float) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    deadline = time.monotonic() + grace
    for child in children:
        try:
            child.process.wait(timeout=max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            continue  # it has had its time; stop() ends it by force


def _kill_group(child: Child, number: int) -> None:
    # The whole group: a child that was itself killed may have left children of its own.
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return
    child.process.wait()
