"""Buyers' programs: each has a connection that it keeps, and many of them can be let go at one moment."""

import http.client
import json
import secrets
import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.rig import ADDRESS, Answer

PATIENCE = 40.0  # seconds for one answer
KEPT = 1.0  # seconds; the shop ends a connection that says nothing for two, maybe just when a request is on its way
# The line broke under a request: whether it was heard is not known, and the same key may be sent again.
BROKEN = (http.client.HTTPException, ConnectionError)
FINAL = (200, 201, 400, 402, 404, 410, 422)


class Client:
    """One program at one connection; not for two threads at a time."""

    def __init__(self, shop, who="customer"):
        facts = shop.facts
        self._address = urlsplit(facts["url"]).netloc
        self._headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if who:
            self._headers["Authorization"] = f"Bearer {facts['api_keys'][who]}"
        self._connection = None
        self._used_at = 0.0

    def ask(self, method, path, body=None, *, key=None):
        """One request and its answer, of any status. Raises one of BROKEN when there is none."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.send(path, None if body is None else json.dumps(body), headers, method=method)

    def send(self, path, body, headers, *, method="POST"):
        """The same with a body as it stands."""
        if self._connection is None or time.monotonic() > self._used_at + KEPT or hung_up(self._connection):
            self.close()
            self._connection = http.client.HTTPConnection(self._address, timeout=PATIENCE)
        try:
            self._connection.request(method, path, body, self._headers | headers)
            answer = self._connection.getresponse()
            read = Answer(answer.status, answer.headers, answer.read())
            self._used_at = time.monotonic()
            return read
        except (*BROKEN, TimeoutError):
            self.close()
            raise

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, body=None, *, key=None):
        return self.ask("POST", path, body or {}, key=key or secrets.token_hex(16))

    def order(self, *, sku="STICK-SET", quantity=1, card="pm_card_visa", email=None, key=None, **more):
        body = {
            "email": email or f"{secrets.token_hex(6)}@example.com",
            "items": [{"sku": sku, "quantity": quantity}],
            "shipping_address": ADDRESS,
            "shipping_method": "standard",
            "payment_method": card,
        }
        return self.post("/api/v1/orders/", body | more, key=key)


def hung_up(connection):
    """Whether the shop has ended this kept connection."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


def insist(ask, *, within=60.0, seen=None):
    """What a well-behaved program does: `ask()` again, with the same key, until the answer is final.

    Waits as long as it is told to. `seen` collects every answer and every broken line.
    """
    seen = [] if seen is None else seen
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            answer = ask()
        except BROKEN as broken:
            seen.append(type(broken).__name__)
            time.sleep(0.05)
            continue
        seen.append(answer)
        if not unfinished(answer):
            return answer
        time.sleep(float(answer.headers["Retry-After"]))
    pytest.fail(f"no final answer within {within:g} s: {seen}")


def unfinished(answer):
    """Whether the same request, sent again with its key, may be answered otherwise."""
    return answer.status in (202, 503) or (answer.status == 409 and answer.json().get("code") == "in_progress")


class Crowd:
    """So many clients, each in a thread of its own. `at_once` may be called again and again."""

    def __init__(self, shop, count, who="customer"):
        self.clients = [Client(shop, who) for _ in range(count)]
        self._threads = ThreadPoolExecutor(count)
        self._start = threading.Barrier(count)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._start.abort()
        self._threads.shutdown()
        for client in self.clients:
            client.close()

    def at_once(self, send):
        """What each got from `send(client, n)`, all let go at the same moment."""

        def run(n, client):
            self._start.wait(PATIENCE)
            return send(client, n)

        return list(self._threads.map(run, range(len(self.clients)), self.clients))
