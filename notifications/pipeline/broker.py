"""Hints to Celery, with short time-outs and a breaker: a broker that is away costs a moment, once."""

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from notifications.pipeline.models import Priority
from notifications.pipeline.tasks import deliver

LOOK_EVERY = 1.0  # seconds; asking how full the queues are is also how we notice that it is gone, or back
LOOK_SOON = 0.05  # seconds, while a queue is full: that long its workers may have nothing to do
STEP = 3  # between the lists that Redis keeps of one queue: 0, 3, 6 and 9, of which 0 is the first
WINDOW = 200  # hints waiting in one queue: enough to keep a few workers busy, few enough to lose
TOO_SLOW = 2.0  # seconds for that answer; through such a broker the workers get next to nothing to do

log = structlog.get_logger(__name__)


class BrokerAway(Exception):
    """The broker did not take the hint. The row is in the database; somebody else will run it."""


class Broker:
    """The relay's view of the broker: configured or not, answering or not, and how full its queues are.

    A thread of its own looks once a second, so that a broker that hangs never holds up the relay. on_room: called there
    when a queue that was full no longer is. window: how many hints fill one; the more workers, the more.
    """

    def __init__(self, on_room: Callable[[], None] = lambda: None) -> None:
        self.configured = bool(settings.BROKER_URL)
        self.error = "not asked yet"
        self.depths: dict[str, int] = {}
        self.window = WINDOW
        self._on_room = on_room
        self._look = threading.Event()
        self._connection = current_app.connection_for_write()
        self._failures: tuple[type[BaseException], ...] = (
            OperationalError,
            OSError,
            *self._connection.connection_errors,
            *self._connection.channel_errors,
        )
        self._closing = threading.Event()
        if self.configured:
            threading.Thread(target=self._watch, name="broker-watch", daemon=True).start()

    @property
    def answers(self) -> bool:
        return self.configured and not self.error

    def is_full(self, queue: str, *, times: int = 1) -> bool:
        return self.depths.get(queue, 0) >= self.window * times

    def hint(self, first: int, *also: int, queue: str, priority: int = Priority.USUAL) -> None:
        """Tell Celery to look at these deliveries; those of a smaller priority first.

        Raises BrokerAway within about two seconds.
        """
        if self.error:  # found meanwhile, perhaps in the middle of a long list of hints
            raise BrokerAway
        try:
            _connect(self._connection)
            deliver.apply_async(
                args=[first],
                kwargs={"also": also},
                queue=queue,
                priority=STEP * priority,
                retry=False,
                connection=self._connection,
                ignore_result=True,
            )
        except self._failures as error:
            self._say(f"{type(error).__name__}: {error}")
            self._connection = _anew(self._connection)
            raise BrokerAway from error
        self.depths[queue] = self.depths.get(queue, 0) + 1
        if self.is_full(queue):
            self._look.set()

    def close(self) -> None:
        self._closing.set()
        self._look.set()

    def _watch(self) -> None:
        connection = current_app.connection_for_write()
        while not self._closing.is_set():
            self._look.clear()
            try:
                self._measure_depths(connection)
            except self._failures as error:
                self._say(f"{type(error).__name__}: {error}")
                connection = _anew(connection)
            full = not self.error and self._full()
            if full or self._look.wait(LOOK_EVERY):
                self._closing.wait(LOOK_SOON)
        connection.close()

    def _measure_depths(self, connection: Any) -> None:
        began, full = time.monotonic(), self._full()
        self.depths = _measure(connection)
        took = time.monotonic() - began
        self._say(f"slow: it took {took:.1f} s to answer" if took > TOO_SLOW else "")
        if full - self._full():
            self._on_room()

    def _full(self) -> set[str]:
        return {queue for queue in self.depths.copy() if self.is_full(queue)}

    def _say(self, error: str) -> None:
        if bool(error) != bool(self.error):
            log.warning("broker_away", error=error) if error else log.info("broker_answers")
        self.error = error


def _measure(connection: Any) -> dict[str, int]:
    _connect(connection)
    channel = connection.default_channel
    return {
        # Not passive: Redis has no empty lists, so there a passive look calls an empty queue missing.
        queue.name: channel.queue_declare(queue.name, durable=True, auto_delete=False).message_count
        for queue in current_app.conf.task_queues
    }


def _connect(connection: Any) -> None:
    """Once, at once: left to itself the client tries for six seconds."""
    if not connection.connected:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)


def _anew(connection: Any) -> Any:
    connection.close()
    return current_app.connection_for_write()
