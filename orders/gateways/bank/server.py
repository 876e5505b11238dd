"""The bank's HTTP side: one thread a connection, kept alive."""

import contextlib
import json
import socket
import socketserver
import time
from http.server import BaseHTTPRequestHandler
from typing import Final

from orders.gateways.bank import forms
from orders.gateways.bank.answers import Answer, Manner, Refusal
from orders.gateways.bank.desk import Desk, Request
from orders.gateways.bank.page import challenge_page, closing_page, way_back
from orders.gateways.bank.papers import new_id
from orders.gateways.bank.playground import PREFIX, Playground

MAX_BODY: Final = 64 * 1024
HANG: Final = 60.0  # seconds an unanswered caller is held; then the thread is wanted back
DRIP: Final = 0.2  # seconds between two bytes
GARBAGE: Final = "<html><body>This is not the bank you are looking for."


class Server(socketserver.ThreadingTCPServer):
    """Listens on one address and hands requests to the desk.

    Not http.server's own: that one asks the resolver for its name, which can take seconds.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    desk: Desk
    playground: Playground | None = None

    def __init__(self, host: str, port: int) -> None:
        super().__init__((host, port), Handler)

    @property
    def site(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"http://{host}:{port}"


class Handler(BaseHTTPRequestHandler):
    """Reads a request, lets the desk answer it, writes the answer."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "Bank"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave as one packet
    timeout = 120

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        path, _, query = self.path.partition("?")
        try:
            body = self._body()
            if path.startswith("/3ds/"):
                self._serve_page(method, path.removeprefix("/3ds/"), body)
            elif path.startswith(PREFIX) and self.server.playground:
                self._send_json(self.server.playground.answer(method, path, body))
            else:
                self._serve_call(method, path, query if method == "GET" else body)
        except Refusal as refusal:
            self._send_json(refusal.answer)

    def _body(self) -> str:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self.close_connection = True  # where the body ends is anyone's guess
            raise Refusal(400, "The request needs a Content-Length.")
        if len(length) > 9 or int(length) > MAX_BODY:
            self.close_connection = True
            raise Refusal(413, "The request is too large.")
        return self.rfile.read(int(length)).decode(errors="replace")

    # -- the API ------------------------------------------------------------------------------

    def _serve_call(self, method: str, path: str, text: str) -> None:
        self._authorise()
        request = Request(method, path, forms.parsed(text), self.headers.get("Idempotency-Key", ""))
        answer = self.server.desk.answer(request, wait=self._hang)
        match answer.manner:
            case Manner.WHOLE:
                self._send_json(answer)
            case Manner.HANG:
                self._hang()
            case Manner.DROP:
                self.close_connection = True
            case Manner.GARBAGE:
                self._send_html(200, GARBAGE)
            case Manner.EMPTY:
                self._send(200, b"", {})
            case Manner.DRIP:
                self._drip(answer)

    def _authorise(self) -> None:
        scheme, _, secret = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.startswith(("sk_", "rk_")):
            raise Refusal(401, "You did not provide a valid API key: Authorization: Bearer sk_…")

    def _hang(self) -> None:
        """Say nothing until the caller leaves."""
        self.close_connection = True
        self.connection.settimeout(HANG)
        with contextlib.suppress(OSError):
            self.connection.recv(1, socket.MSG_PEEK)  # returns when the other side hangs up

    def _drip(self, answer: Answer) -> None:
        self.close_connection = True
        self._send(answer.status, b"", {"Content-Length": str(len(_json(answer)))})
        with contextlib.suppress(OSError):  # the caller has lost patience
            for byte in _json(answer):
                time.sleep(DRIP)
                self.wfile.write(bytes([byte]))
                self.wfile.flush()

    def _send_json(self, answer: Answer) -> None:
        headers = {"Content-Type": "application/json", "Request-Id": new_id("req")}
        if answer.replayed:
            headers["Idempotent-Replayed"] = "true"
        self._send(answer.status, _json(answer), headers)

    # -- the buyer's page ---------------------------------------------------------------------

    def _serve_page(self, method: str, id: str, body: str) -> None:
        if method == "GET":
            return self._send_html(200, challenge_page(self.server.desk.challenge(id)))
        approved = forms.parsed(body).get("decision") == "approve"
        intent = self.server.desk.decide(id, approved=approved)
        return self._send_html(303 if way_back(intent) else 200, closing_page(intent), location=way_back(intent))

    def _send_html(self, status: int, page: str, *, location: str = "") -> None:
        headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
        if location:
            headers["Location"] = location
        self._send(status, page.encode(), headers)

    # -- both ---------------------------------------------------------------------------------

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class could not read, said in the shape that callers parse."""
        self.close_connection = True
        self._send_json(Refusal(400 if code < 500 else 404, explain or message or "Bad request.").answer)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the ledger and the journal are the log."""


def _json(answer: Answer) -> bytes:
    return json.dumps(answer.body, separators=(",", ":")).encode()
