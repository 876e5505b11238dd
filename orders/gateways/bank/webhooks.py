"""Telling the shop, signed as Stripe signs, from a thread of its own."""

import hashlib
import hmac
import http.client
import json
import queue
import threading
import time
import urllib.request
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

RETRIES_AFTER = (1.0, 5.0, 25.0)  # seconds; what is lost after that, the shop finds by asking
PATIENCE = 5.0
REMEMBERED: Final = 10_000  # events that can be sent again

# The shop is on this machine or named by the operator; a proxy from the environment is for elsewhere.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Order(StrEnum):
    """What happens to events on their way."""

    NORMAL = "normal"
    NEVER = "never"
    DUPLICATE = "duplicate"
    REVERSE = "reverse"  # held until the plan changes, then sent newest first
    DELAY = "delay"


@dataclass(frozen=True)
class Plan:
    """How events are sent from now on."""

    mode: Order = Order.NORMAL
    copies: int = 2  # when duplicated
    seconds: float = 1.0  # when delayed


class Webhooks:
    """Sends events to one address; sends nothing when none was given."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret
        self._plan = Plan()
        self._held: list[bytes] = []
        self._sent: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()
        self._queue: queue.Queue[tuple[bytes, int]] = queue.Queue()
        if url:
            threading.Thread(target=self._run, name="webhooks", daemon=True).start()

    def send(self, event: dict[str, Any], *, times: int = 1) -> None:
        """Queue the event. Twice means two deliveries of one event id, as happens in life."""
        self._sent.append(event)
        body = json.dumps(event).encode()
        with self._lock:
            for _ in range(times):
                self._dispatch(body)

    def follow(self, plan: Plan) -> None:
        """Send by this plan from now on, after what the old one held back."""
        with self._lock:
            while self._held:
                self._post(self._held.pop())
            self._plan = plan

    def events(self) -> list[dict[str, Any]]:
        """What happened lately, oldest first, whether it was sent or not."""
        return list(self._sent)

    def resend(self, *, id: str = "", times: int = 1) -> int:
        """Send this event once more, or all of them, whatever the plan. Returns how many events."""
        chosen = [event for event in self.events() if id in ("", event["id"])]
        for event in chosen * times:
            self._post(json.dumps(event).encode())
        return len(chosen)

    def _dispatch(self, body: bytes) -> None:
        match self._plan.mode:
            case Order.NEVER:
                return
            case Order.REVERSE:
                self._held.append(body)
            case Order.DELAY:
                self._later(self._plan.seconds, body, 0)
            case Order.DUPLICATE:
                for _ in range(self._plan.copies):
                    self._post(body)
            case Order.NORMAL:
                self._post(body)

    def _post(self, body: bytes) -> None:
        if self._url:
            self._queue.put((body, 0))

    def _later(self, seconds: float, body: bytes, tries: int) -> None:
        if self._url:
            timer = threading.Timer(seconds, self._queue.put, [(body, tries)])
            timer.daemon = True
            timer.start()

    def _run(self) -> None:
        while True:
            body, tries = self._queue.get()
            if not self._delivered(body) and tries < len(RETRIES_AFTER):
                self._later(RETRIES_AFTER[tries], body, tries + 1)

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
