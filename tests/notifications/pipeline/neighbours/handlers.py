"""One that kills its process a moment after it was begun, and one that takes its time meanwhile."""

import os
import time

from notifications.pipeline.events import DomainEvent, subscribe

LONG = 4.0  # seconds


class Moved(DomainEvent, name="test.moved"):
    """Somebody has moved in, as a good or a bad neighbour."""

    bad: bool


@subscribe(Moved, atomic=False, when=lambda event: event.bad)
def blow_up(event: Moved) -> None:
    time.sleep(0.5)
    os._exit(9)


@subscribe(Moved, atomic=False, when=lambda event: not event.bad)
def live(event: Moved) -> None:
    time.sleep(LONG)
