"""Somebody else's machine: a web server that answers as a test wants, and remembers what it was told."""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import transaction

from accounts.models import User
from notifications.pipeline.events import publish
from notifications.webhooks import endpoints, interest
from orders.events import OrderCancelled


@dataclass
class Heard:
    path: str
    headers: dict
    body: str

    @property
    def said(self):
        return json.loads(self.body)


class Receiver:
    def __init__(self):
        self.heard, self.answers = [], []  # answers: (status, body) or a callable that is given the handler
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.heard.append(Heard(self.path, headers, body))
                answer = receiver.answers.pop(0) if receiver.answers else (200, "ok")
                answer(self) if callable(answer) else self.answer(*answer)

            def answer(self, status, body="", **headers):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?from=shop"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture(autouse=True)
def fresh_interest():
    interest.forget()
    yield
    interest.forget()


@pytest.fixture
def private(settings):
    settings.WEBHOOKS_TO_PRIVATE = True


@pytest.fixture
def staff(transactional_db):
    return User.objects.create_user("boss@example.com", "a pass phrase", is_staff=True)


@pytest.fixture
def customer(transactional_db):
    return User.objects.create_user("ada@example.com", "a pass phrase")


@pytest.fixture
def endpoint(staff, receiver, private):
    return endpoints.open_endpoint(owner=staff, url=receiver.url, events=["order.cancelled"])


@pytest.fixture
def cancel():
    """An order is cancelled, as far as anybody hears."""

    def say(about="order:7"):
        with transaction.atomic():
            return publish(OrderCancelled(order_id=7, reason="second thoughts"), about=about)

    return say


def drip(handler, count=1000):
    for _ in range(count):
        try:
            handler.wfile.write(b".")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.05)


@pytest.fixture
def slow():
    """Headers that drip in, one byte in a while, and come to no end."""

    def answer(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        drip(handler)

    return answer


@pytest.fixture
def endless_body():
    """An answer with a status at once and a body that comes to no end."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        drip(handler)

    return answer
