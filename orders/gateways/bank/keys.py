"""Idempotency keys: the first answer given under a key is the only answer of that key."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from orders.gateways.bank.answers import Answer, Refusal, key_in_use

MAX_LENGTH = 255


@dataclass(frozen=True)
class Kept:
    """The answer of a key, and what was asked."""

    key: str
    asked: str
    status: int
    body: dict[str, Any]
    at: float


class Keys:
    """Which keys are known, and which are being worked on right now."""

    def __init__(self, *, life: float, journal: Callable[[dict[str, Any]], None]) -> None:
        """`life` in seconds; `journal` records each kept answer before it is given."""
        self._life = life
        self._journal = journal
        self._kept: dict[str, Kept] = {}
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def restore(self, record: dict[str, Any]) -> None:
        kept = Kept(**record)
        self._kept[kept.key] = kept

    def records(self) -> Iterator[dict[str, Any]]:
        """The keys still alive, as journal records."""
        return ({"key": asdict(kept)} for kept in self._kept.values() if self._alive(kept))

    def replay(self, key: str, asked: str) -> Answer | None:
        """The kept answer of this key, if any. Raises Refusal when the key was used for another request."""
        kept = self._kept.get(key)
        if kept is None or not self._alive(kept):
            return None
        if kept.asked != asked:
            raise Refusal(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were first used with.",
                type="idempotency_error",
            )
        return Answer(status=kept.status, body=kept.body, replayed=True)

    @contextmanager
    def claimed(self, key: str) -> Iterator[None]:
        """Hold the key while its request runs. Raises Refusal (409) when another request holds it."""
        with self._lock:
            if key in self._running:
                raise key_in_use()
            self._running.add(key)
        try:
            yield
        finally:
            self._running.discard(key)

    def keep(self, key: str, asked: str, answer: Answer) -> None:
        """Remember the answer, on file first."""
        kept = Kept(key=key, asked=asked, status=answer.status, body=answer.body, at=time.time())
        self._journal({"key": asdict(kept)})
        self._kept[key] = kept

    def _alive(self, kept: Kept) -> bool:
        return self.reach(kept.at)

    def reach(self, moment: float) -> bool:
        """Whether what was done then is still remembered."""
        return time.time() - moment < self._life
