"""How long to wait before trying again. Pure arithmetic."""

import random
from dataclasses import dataclass
from datetime import timedelta


class RetryLater(Exception):
    """Not now: try again in `seconds`. Burns no attempt.

    going_well: it is no failure, only not over yet. outage: all deliveries of this handler would meet the same, so
    that after a few of them the others need not try.
    """

    def __init__(self, seconds: float, reason: str = "", *, going_well: bool = False, outage: bool = False) -> None:
        super().__init__(reason or f"try again in {seconds:g} s")
        self.seconds, self.going_well, self.outage = seconds, going_well, outage


class Permanent(Exception):
    """Trying again cannot help: bury the delivery at once, for a person to read `reason`."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often a handler is tried, and after which pauses: 5 s, 15 s, 45 s … 6 h, unless it asks for others."""

    attempts: int = 10
    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=6)

    def delay(self, attempt: int, dice: random.Random | None = None) -> timedelta:
        """The wait after failed attempt number `attempt` (from 1): three times the last one, up to `longest`.

        Half of it is fixed and half is chance, so that what failed together does not return together.
        """
        whole = min(self.longest, self.first * 3 ** min(attempt - 1, 12))
        return whole / 2 + whole / 2 * (dice or random).random()


USUAL = Retry()
