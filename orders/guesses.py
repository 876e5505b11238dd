"""Voucher codes cannot be found out by trying: whoever has tried many that do not exist waits a while."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from django.core.cache import cache

from orders.invalid import UnknownVoucher

WINDOW: Final = 600  # seconds
MOST: Final = 10  # by one session or one user of the API: more than anybody mistypes
MOST_FROM_AN_ADDRESS: Final = 100  # a whole office, or a proxy, may stand behind one
TOO_MANY: Final = "Too many codes that do not exist were tried. Wait ten minutes."


class TooManyGuesses(Exception):
    """Nothing was looked up, stored or charged. `retry_after` in seconds."""

    def __init__(self) -> None:
        super().__init__(TOO_MANY)
        self.retry_after = WINDOW


@contextmanager
def slowed_down(limits: Mapping[str, int], *, code: str) -> Iterator[None]:
    """Around whatever looks up `code`. limits: how many wrong codes each of those who ask has free.

    Raises TooManyGuesses before anything is looked up; an UnknownVoucher from inside is counted and goes on.
    """
    if code and _spent(limits):
        raise TooManyGuesses
    try:
        yield
    except UnknownVoucher:
        for who in limits:
            # Two at once may count as one: this slows down, it does not account.
            cache.set(_slot(who), cache.get(_slot(who), 0) + 1, timeout=WINDOW)
        raise


def _spent(limits: Mapping[str, int]) -> bool:
    counted = cache.get_many([_slot(who) for who in limits])
    return any(counted.get(_slot(who), 0) >= most for who, most in limits.items())


def _slot(who: str) -> str:
    return f"voucher-guesses:{who}:{_window()}"


def _window() -> int:
    return int(time.time()) // WINDOW
