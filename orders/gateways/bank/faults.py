"""What goes wrong on request, whatever the card: switches that tests set while the bank runs (see `playground`)."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from orders.gateways.bank.answers import BROKEN, SILENCE, Answer, Manner, Refusal, key_in_use


class Mode(StrEnum):
    """A way to fail. "Before" means that nothing was done, "after" that it was."""

    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    ERROR_BEFORE = "500_before"  # kept under the key, as Stripe does, and so repeated
    ERROR_AFTER = "500_after"
    CONFLICT = "409"
    BUSY = "429"
    GARBAGE = "garbage"
    EMPTY = "empty"
    SLOW_DRIP = "slow_drip"
    WRONG_AMOUNT = "wrong_amount"  # these two at "confirm" only: more, or other, money is taken than was asked for
    WRONG_CURRENCY = "wrong_currency"


ANY: Final = "any"
PATHS: Final = ("create", "confirm", "capture", "cancel", "retrieve", "list", "refund", "refunds", ANY)
MANNERS: Final = {
    Mode.DROP_AFTER: Manner.DROP,
    Mode.HANG_AFTER: Manner.HANG,
    Mode.GARBAGE: Manner.GARBAGE,
    Mode.EMPTY: Manner.EMPTY,
    Mode.SLOW_DRIP: Manner.DRIP,
}
INSTEAD: Final = {Mode.HANG_BEFORE: SILENCE, Mode.ERROR_BEFORE: BROKEN}


@dataclass
class _Plan:
    mode: Mode
    times: int | None  # None: until it is called off


class Faults:
    """Which fault the next request meets."""

    def __init__(self) -> None:
        self._plans: dict[str, _Plan] = {}
        self._lock = threading.Lock()

    def plan(self, path: str, mode: Mode, *, times: int | None) -> None:
        """The next `times` requests of this path fail so; None means all of them."""
        with self._lock:
            self._plans[path] = _Plan(mode, times)

    def call_off(self, path: str) -> None:
        with self._lock:
            self._plans.pop(path, None)

    def take(self, path: str) -> Mode | None:
        """The fault of one request to this path."""
        with self._lock:
            for name in (path, ANY):
                plan = self._plans.get(name)
                if plan is None or plan.times == 0:
                    continue
                if plan.times is not None:
                    plan.times -= 1
                return plan.mode
        return None


def at_the_door(mode: Mode | None) -> Answer | None:
    """The answer to a request that was not even read."""
    match mode:
        case Mode.DROP_BEFORE:
            return replace(SILENCE, manner=Manner.DROP)
        case Mode.CONFLICT:
            return key_in_use().answer
        case Mode.BUSY:
            return Refusal(429, "Too many requests at once.", code="rate_limit").answer
        case _:
            return None


def worked(mode: Mode | None, act: Callable[[], Answer]) -> Answer:
    """What a request comes to, as its key will remember it."""
    if mode in INSTEAD:
        return INSTEAD[mode]
    answer = act()
    return BROKEN if mode is Mode.ERROR_AFTER else answer


def spoiled(mode: Mode | None, answer: Answer) -> Answer:
    """The answer as it leaves the house."""
    return replace(answer, manner=MANNERS[mode]) if mode in MANNERS else answer
