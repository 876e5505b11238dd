"""One clock for a whole conversation over HTTP, however many waits it has.

An ordinary read time-out starts anew with each byte, so an answer that drips in can hold a thread for minutes.
Inside `within`, every wait (connect, send, each read) gets only the time that is left.
"""

import contextlib
import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

_deadline: ContextVar[float] = ContextVar("deadline")


@contextlib.contextmanager
def within(*, seconds: float) -> Iterator[None]:
    """All conversations inside take at most this long together; the nearer of two deadlines holds."""
    token = _deadline.set(min(time.monotonic() + seconds, _deadline.get(float("inf"))))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float:
    """Seconds left. Raises TimeoutError when there are none, LookupError outside `within`."""
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("no time left")
    return left


class _TimedReads(io.RawIOBase):
    """A connection's incoming bytes; each read waits only for what is left of the conversation."""

    def __init__(self, source: io.RawIOBase, connection: socket.socket) -> None:
        self._source = source
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(remaining())
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class TimedResponse(http.client.HTTPResponse):
    """The `response_class` of a connection that is used inside `within`."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_TimedReads(self.fp.detach(), sock))
