"""Wakes the relay after a commit. A lost ring costs at most the relay's safety poll.

A relay on this host listens on a datagram socket in the shop's own folder under the system's
temporary directory (socket paths are limited to about 100 bytes). Where none answers and the
database is PostgreSQL, one throttled NOTIFY reaches the relays of other hosts.
"""

import contextlib
import hashlib
import os
import select
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error, connection, transaction

CHANNEL = "waybill_doorbell"
NOTIFY_EVERY = 0.05  # seconds; commits that NOTIFY serialise on one lock of the server

_last_notify = 0.0


def _folder() -> Path:
    shop = hashlib.sha256(f"{settings.WAYBILL_DATA}|{connection.settings_dict['NAME']}".encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"waybill-{os.getuid()}-{shop}"


def ring_after_commit() -> None:
    """Once for all that the transaction has to say; at once where none is open."""
    if not any(waiting[1] is ring for waiting in connection.run_on_commit):
        transaction.on_commit(ring, robust=True)


def ring(*, surely: bool = False) -> None:
    """Never raises: what it wakes up for is already committed. surely: rather late than not at all."""
    if not _ring_this_host() and connection.vendor == "postgresql":
        if surely:
            time.sleep(max(0.0, NOTIFY_EVERY - (time.monotonic() - _last_notify)))
        with contextlib.suppress(Error):
            _notify()


def _ring_this_host() -> bool:
    answered = False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        for path in _folder().glob("*.bell"):
            try:
                bell.sendto(b"!", str(path))
                answered = True
            except BlockingIOError:
                answered = True  # its buffer is full: it has been rung often enough
            except OSError:
                pass  # a relay that is gone
    return answered


def _notify() -> None:
    global _last_notify
    if time.monotonic() - _last_notify < NOTIFY_EVERY:
        return
    _last_notify = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def _sweep(folder: Path) -> None:
    """Relays that were killed have left their bells; every ring would try each of them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as visitor:
        visitor.setblocking(False)
        for path in folder.glob("*.bell"):
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                try:
                    visitor.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink(missing_ok=True)


class Bell:
    """The relay's ear. `wait` returns when rung, or after the time-out."""

    def __init__(self) -> None:
        folder = _folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        _sweep(folder)
        self.path = folder / f"{os.getpid()}.bell"
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self._listening: Any = None

    def deafen(self) -> None:
        """Forget a database session that is gone; `listen` finds a new one."""
        self._listening = None

    def listen(self) -> None:
        """On PostgreSQL also hear NOTIFY; call again after the database has been away."""
        if connection.vendor == "postgresql":
            connection.ensure_connection()
            self._listening = connection.connection
            with connection.wrap_database_errors:
                self._listening.execute(f"LISTEN {CHANNEL}")

    def wait(self, timeout: float) -> None:
        with connection.wrap_database_errors:  # the session may be gone; the caller knows what to do
            ears = [self.socket] if self._listening is None else [self.socket, self._listening.fileno()]
            heard, _, _ = select.select(ears, [], [], max(timeout, 0))
            if self.socket in heard:
                self._drain()
            if len(heard) > (self.socket in heard):
                for _notice in self._listening.notifies(timeout=0):
                    pass

    def ring(self) -> None:
        """Wake our own `wait` from another thread."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.setblocking(False)
            with contextlib.suppress(OSError):  # closed, or full and so rung already
                bell.sendto(b"!", str(self.path))

    def close(self) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def _drain(self) -> None:
        try:
            while self.socket.recv(64):
                pass
        except BlockingIOError:
            pass
