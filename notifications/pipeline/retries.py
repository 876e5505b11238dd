"""How long to wait before trying again. Pure arithmetic."""

import random
from datetime import timedelta

LONGEST = timedelta(hours=6)
FIRST = timedelta(seconds=5)


class RetryLater(Exception):
    """Not now: try again in `seconds`. Burns no attempt."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"try again in {seconds:g} s")
        self.seconds = seconds


class Permanent(Exception):
    """Trying again cannot help: bury the delivery at once, for a person to read `reason`."""


def delay(attempt: int, dice: random.Random | None = None) -> timedelta:
    """The wait after failed attempt number `attempt` (from 1): 5 s, 15 s, 45 s ... 6 h.

    Half of it is fixed and half is chance, so that what failed together does not return together.
    """
    whole = min(LONGEST, FIRST * 3 ** min(attempt - 1, 12))
    return whole / 2 + whole / 2 * (dice or random).random()
