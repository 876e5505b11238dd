"""The HTTP client under the gateway's SDK: kept-alive connections, and one clock for a whole conversation."""

import http.client
import json
import select
import ssl
import threading
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlsplit

import stripe

from notifications import tracing
from notifications.deadlines import TimedResponse, remaining

CONNECT_SECONDS: Final = 1.0
MAX_ANSWER: Final = 4 * 1024 * 1024  # a full page of a list is about 1 MB


class TimedClient(stripe.HTTPClient):
    """What the SDK sends its requests through. Thread-safe: each thread keeps a connection of its own.

    It goes straight to the gateway: a proxy named in the environment is not used, because the bank is on this machine.
    """

    name = "waybill"

    def __init__(self) -> None:
        super().__init__()
        self._own = threading.local()
        self._trust = ssl.create_default_context(cafile=stripe.ca_bundle_path)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_usage: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        """Send and read one request.

        Raises APIConnectionError when no sensible answer came in time: whether the gateway acted is then unknown.
        """
        target = urlsplit(url)
        try:
            with tracing.span(f"{method.upper()} gateway", kind="CLIENT", server__address=target.hostname or ""):
                answer, body = self._exchange(method, target, dict(headers or {}), post_data)
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            raise _no_answer(f"{type(error).__name__}: {error}") from error
        # An HTTPMessage is all the mapping the SDK needs, and like it expects, blind to case.
        return _sensible(body, answer.status), answer.status, cast("Mapping[str, str]", answer.headers)

    def close(self) -> None:
        self._forget()

    def _exchange(
        self, method: str, target: SplitResult, headers: dict[str, str], body: str | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connection(target)
        connection.sock.settimeout(remaining())
        path = f"{target.path}?{target.query}" if target.query else target.path
        connection.request(method.upper(), path, body=body, headers=headers)
        answer = connection.getresponse()
        content = answer.read(MAX_ANSWER)
        if answer.read(1):
            raise http.client.HTTPException("the answer is too long")
        return answer, content

    def _connection(self, target: SplitResult) -> http.client.HTTPConnection:
        kept: tuple[str, http.client.HTTPConnection] | None = getattr(self._own, "kept", None)
        if kept and kept[0] == target.netloc and _usable(kept[1]):
            return kept[1]
        self._forget()
        fresh = _dialled(target, self._trust)
        self._own.kept = (target.netloc, fresh)
        return fresh

    def _forget(self) -> None:
        kept = getattr(self._own, "kept", None)
        if kept:
            kept[1].close()
            self._own.kept = None


def _dialled(target: SplitResult, trust: ssl.SSLContext) -> http.client.HTTPConnection:
    patience = min(CONNECT_SECONDS, remaining())
    host = target.hostname or ""
    connection = (
        http.client.HTTPSConnection(host, target.port, timeout=patience, context=trust)
        if target.scheme == "https"
        else http.client.HTTPConnection(host, target.port, timeout=patience)
    )
    connection.response_class = TimedResponse
    connection.connect()
    return connection


def _usable(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side still holds the line: a kept connection with something to read was hung up."""
    if connection.sock is None:
        return False
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return not waiting.poll(0)


def _sensible(body: bytes, status: int) -> str:
    """The body, if it is a JSON object as the gateway sends them.

    A proxy's error page, or JSON of another shape, trips the SDK into errors of its own: it is no answer at all.
    """
    try:
        text = body.decode()
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_answer("not JSON", status) from error
    if not isinstance(said, dict) or (status >= 400 and not isinstance(said.get("error"), dict)):
        raise _no_answer("not an answer of the gateway", status)
    return text


def _no_answer(why: str, status: int | None = None) -> stripe.APIConnectionError:
    return stripe.APIConnectionError(why, http_status=status)  # type: ignore[no-untyped-call]
