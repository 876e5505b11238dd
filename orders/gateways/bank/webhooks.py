"""Telling the shop, signed as Stripe signs, from a thread of its own."""

import hashlib
import hmac
import http.client
import json
import queue
import threading
import time
import urllib.request
from typing import Any

RETRIES_AFTER = (1.0, 5.0, 25.0)  # seconds; what is lost after that, the shop finds by asking
PATIENCE = 5.0

# The shop is on this machine or named by the operator; a proxy from the environment is for elsewhere.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Webhooks:
    """Sends events to one address; sends nothing when none was given."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret
        self._queue: queue.Queue[tuple[bytes, int]] = queue.Queue()
        if url:
            threading.Thread(target=self._run, name="webhooks", daemon=True).start()

    def send(self, event: dict[str, Any], *, times: int = 1) -> None:
        """Queue the event. Twice means two deliveries of one event id, as happens in life."""
        if self._url:
            body = json.dumps(event).encode()
            for _ in range(times):
                self._queue.put((body, 0))

    def _run(self) -> None:
        while True:
            body, tries = self._queue.get()
            if not self._delivered(body) and tries < len(RETRIES_AFTER):
                again = threading.Timer(RETRIES_AFTER[tries], self._queue.put, [(body, tries + 1)])
                again.daemon = True
                again.start()

    def _delivered(self, body: bytes) -> bool:
        headers = {"Content-Type": "application/json", "Stripe-Signature": signature(body, self._secret)}
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310
        try:
            with _direct.open(request, timeout=PATIENCE) as answer:
                return 200 <= answer.status < 300
        except (OSError, http.client.HTTPException):  # refused, timed out, an error status, an answer that is not HTTP
            return False


def signature(body: bytes, secret: str, *, at: int | None = None) -> str:
    """The Stripe-Signature header of this body; `at` in unix seconds, now when not given."""
    moment = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"
