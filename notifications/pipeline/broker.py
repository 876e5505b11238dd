"""Hints to Celery, with short time-outs and a breaker: a broker that is away costs a moment, once."""

import threading
import time
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from notifications.pipeline.tasks import deliver

LOOK_EVERY = 1.0  # seconds; asking how full the queues are is also how we notice that it is gone, or back
TOO_SLOW = 2.0  # seconds for that answer; through such a broker the workers get next to nothing to do

log = structlog.get_logger(__name__)


class BrokerAway(Exception):
    """The broker did not take the hint. The row is in the database; somebody else will run it."""


class Broker:
    """The relay's view of the broker: configured or not, answering or not, and how full its queues are.

    A thread of its own looks once a second, so that a broker that hangs never holds up the relay.
    """

    def __init__(self) -> None:
        self.configured = bool(settings.BROKER_URL)
        self.error = "not asked yet"
        self.depths: dict[str, int] = {}
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

    def hint(self, first: int, *also: int, queue: str) -> None:
        """Tell Celery to look at these deliveries. Raises BrokerAway within about two seconds."""
        if self.error:  # found meanwhile, perhaps in the middle of a long list of hints
            raise BrokerAway
        try:
            _connect(self._connection)
            deliver.apply_async(
                args=[first],
                kwargs={"also": also},
                queue=queue,
                retry=False,
                connection=self._connection,
                ignore_result=True,
            )
        except self._failures as error:
            self._say(f"{type(error).__name__}: {error}")
            self._connection = _anew(self._connection)
            raise BrokerAway from error
        self.depths[queue] = self.depths.get(queue, 0) + 1

    def close(self) -> None:
        self._closing.set()

    def _watch(self) -> None:
        connection = current_app.connection_for_write()
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self.depths = _measure(connection)
                took = time.monotonic() - began
                self._say(f"slow: it took {took:.1f} s to answer" if took > TOO_SLOW else "")
            except self._failures as error:
                self._say(f"{type(error).__name__}: {error}")
                connection = _anew(connection)
            self._closing.wait(LOOK_EVERY)
        connection.close()

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
