"""Hints to Celery, with short time-outs and a breaker: a broker that is away costs a moment, once."""

import time

import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from notifications.pipeline.tasks import deliver

RETRY_BROKER_AFTER = 2.0  # seconds we leave a silent broker alone
DEPTHS_EVERY = 1.0  # seconds; asking for the depths is also how we notice that it is gone

log = structlog.get_logger(__name__)


class BrokerAway(Exception):  # noqa: N818
    """The broker did not take the hint. The row is in the database; somebody else will run it."""


class Broker:
    """The relay's view of the broker: configured or not, answering or not, and how full its queues are."""

    def __init__(self) -> None:
        self.configured = bool(settings.BROKER_URL)
        self.error = ""
        self.depths: dict[str, int] = {}
        self._connection = current_app.connection_for_write()
        self._failures = (
            OperationalError,
            OSError,
            *self._connection.connection_errors,
            *self._connection.channel_errors,
        )
        self._asked_at = float("-inf")

    @property
    def answers(self) -> bool:
        return self.configured and not self.error

    def look(self) -> None:
        """Refresh `depths` and `error`, at most once a second (every 2 s while it is away)."""
        every = RETRY_BROKER_AFTER if self.error else DEPTHS_EVERY
        if not self.configured or time.monotonic() - self._asked_at < every:
            return
        self._asked_at = time.monotonic()
        try:
            self.depths = self._measure()
        except self._failures as error:
            self._gone(error)
        else:
            if self.error:
                log.info("broker_back")
            self.error = ""

    def hint(self, *, delivery_id: int, queue: str) -> None:
        """Tell Celery to look at the delivery. Raises BrokerAway within about a second."""
        try:
            deliver.apply_async(
                args=[delivery_id], queue=queue, retry=False, connection=self._connection, ignore_result=True
            )
        except self._failures as error:
            self._gone(error)
            raise BrokerAway from error
        self.depths[queue] = self.depths.get(queue, 0) + 1

    def _measure(self) -> dict[str, int]:
        if not self._connection.connected:
            self._connection.ensure_connection(max_retries=1, timeout=1)
        channel = self._connection.default_channel
        return {
            queue.name: channel.queue_declare(queue.name, passive=True).message_count
            for queue in current_app.conf.task_queues
        }

    def _gone(self, error: BaseException) -> None:
        if not self.error:
            log.warning("broker_away", error=str(error))
        self.error = f"{type(error).__name__}: {error}"
        self._asked_at = time.monotonic()
        self._connection.close()
        self._connection = current_app.connection_for_write()
