"""Who was running twice when its process died may be what kills them, or have been beside it: its third try is alone.

The relay starts a process that runs this one delivery and nothing else. So a third death is died of oneself: nobody is
buried for what a neighbour did, and nobody waits for a neighbour who may do it.
"""

import subprocess
import sys
import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import connection

from notifications.pipeline.events import subscription_of
from notifications.pipeline.executor import Executor
from notifications.pipeline.lease import LEASE
from notifications.pipeline.models import Delivery, Worker

AT_ONCE: Final = 2  # such processes of one relay: each takes a second to start, and the memory of a worker
HUNG: Final = 2 * LEASE  # after its limit: by then its delivery has been taken from it

log = structlog.get_logger(__name__)


class Cells:
    """The processes of one relay, by the delivery that each runs."""

    def __init__(self) -> None:
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def room(self) -> int:
        """How many more may be started."""
        self._running = {pk: process for pk, process in self._running.items() if process.poll() is None}
        return AT_ONCE - len(self._running)

    def start(self, delivery_ids: Iterable[int]) -> None:
        for pk in delivery_ids:
            if pk not in self._running and self.room() > 0:
                argv = [sys.executable, "-m", "django", "attempt", str(pk)]
                self._running[pk] = subprocess.Popen(argv, cwd=settings.BASE_DIR)  # noqa: S603
                log.info("delivery_runs_alone", delivery=pk)

    def stop(self) -> None:
        """Let them give back what they run; they do so by themselves."""
        for process in self._running.values():
            process.terminate()


def run(delivery_id: int, *, stopped: threading.Event, grace: float) -> None:
    """In such a process: until it has come to its end, hangs, or is `stopped`."""
    executor = Executor(kind=Worker.Kind.WORKER, alone=True)
    work = threading.Thread(target=_attempt, args=[executor, delivery_id, stopped], daemon=True)
    work.start()
    stopped.wait((_limit(delivery_id) + HUNG).total_seconds())
    executor.stop(grace=grace)


def _attempt(executor: Executor, delivery_id: int, ended: threading.Event) -> None:
    try:
        executor.attempt(delivery_id)
    finally:
        connection.close()
        ended.set()


def _limit(delivery_id: int) -> timedelta:
    row = Delivery.objects.filter(pk=delivery_id).first()
    subscription = subscription_of(row.handler) if row else None
    return subscription.limit if subscription else timedelta(0)
