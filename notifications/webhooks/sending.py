"""One POST to somebody else's machine: to the address that was checked, in bounded time, believing little."""

import contextlib
import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import certifi

from notifications.deadlines import TimedResponse, remaining, within
from notifications.webhooks import guard
from notifications.webhooks.guard import Refused, Target

TOTAL_SECONDS: Final = 10.0  # for a whole conversation
BODY_SECONDS: Final = 2.0  # for what follows the headers
MOST_READ: Final = 64 * 1024  # bytes of an answer; what follows is not read
MOST_KEPT: Final = 1_000  # characters of it


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back. status: 0 when nothing did, and `error` says why."""

    status: int
    text: str
    error: str
    seconds: float

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


def post(url: str, *, headers: Mapping[str, str], body: str) -> Answer:
    """Send `body` and read the beginning of the answer. Never raises for what the other side does.

    A redirect is an answer like any other: it is not followed.
    """
    began, status, text, error = time.monotonic(), 0, "", ""
    try:
        with within(seconds=TOTAL_SECONDS):
            status, text = _exchange(guard.parsed(url), headers, body)
    except Refused as why:
        error = f"The address {why}."
    except TimeoutError:
        error = f"No answer within {TOTAL_SECONDS:g} s."
    except (OSError, http.client.HTTPException) as failure:
        error = _plain(f"{type(failure).__name__}: {failure}".encode(errors="replace"))
    return Answer(status=status, text=text, error=error, seconds=time.monotonic() - began)


def _exchange(target: Target, headers: Mapping[str, str], body: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.response_class = TimedResponse
    connection.sock = _dialled(target)
    try:
        connection.sock.settimeout(remaining())
        connection.request("POST", target.path, body=body.encode(), headers={"Host": target.authority, **headers})
        answer = connection.getresponse()
        return answer.status, _plain(_beginning(answer))
    finally:
        connection.close()


def _beginning(answer: http.client.HTTPResponse) -> bytes:
    """What a person may want to read of it. The status has said all that counts, so this takes little time."""
    read = b""
    with contextlib.suppress(OSError, http.client.HTTPException), within(seconds=BODY_SECONDS):
        while len(read) < MOST_READ and (part := answer.read1(MOST_READ - len(read))):
            read += part
    return read


def _dialled(target: Target) -> socket.socket:
    """Connected to the address that was checked; the certificate must be of the name."""
    line = socket.create_connection((_address(target), target.port), timeout=remaining())
    if target.scheme == "http":
        return line
    try:
        trust = ssl.create_default_context(cafile=certifi.where())
        safe = trust.wrap_socket(line, server_hostname=target.host.rstrip("."), do_handshake_on_connect=False)
        _shake_hands(safe)
        return safe
    except BaseException:
        line.close()
        raise


def _address(target: Target) -> str:
    """Asked in a thread of its own: a resolver has a patience that nobody can shorten."""
    found: Future[str] = Future()

    def ask() -> None:
        try:
            found.set_result(guard.resolved(target))
        except BaseException as error:  # noqa: BLE001  it belongs to who waits
            found.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return found.result(timeout=remaining())


def _shake_hands(line: ssl.SSLSocket) -> None:
    """Within the time that is left, however slowly the other side speaks."""
    line.setblocking(False)
    while True:
        try:
            line.do_handshake()
            return
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wants:
            waiting = select.poll()
            waiting.register(line, select.POLLIN if isinstance(wants, ssl.SSLWantReadError) else select.POLLOUT)
        if not waiting.poll(remaining() * 1000):
            raise TimeoutError


def _plain(content: bytes) -> str:
    text = content[: 4 * MOST_KEPT].decode(errors="replace")[:MOST_KEPT]
    return "".join(character if character.isprintable() or character == "\n" else "·" for character in text)
