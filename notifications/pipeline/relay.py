"""Turns due rows into work: hints for Celery, or, when nobody else can, runs them itself.

Several relays may run: claims and hints are conditional, clock events carry a dedupe key.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog
from django.db import Error, close_old_connections, connection
from django.db.models import Q
from django.utils import timezone

from notifications.pipeline import clock, locks, rescue
from notifications.pipeline.broker import Broker, BrokerAway
from notifications.pipeline.doorbell import Bell
from notifications.pipeline.executor import Executor
from notifications.pipeline.models import Delivery, DeliveryQuerySet, Worker

SAFETY_POLL = 1.0  # seconds: what a lost ring costs at most
SLOTS = 8  # handlers the relay runs at once when it must; some of them wait on slow servers
SHORT_QUEUE = 10  # a broker queue this short holds no backlog, so an old hint in it is a lost hint
WINDOW = 200  # hints waiting in one broker queue: enough to keep workers busy, few enough to lose
REHINT_AFTER = timedelta(seconds=3)
UNANSWERED_AFTER = timedelta(seconds=15)  # hinted again and again, and no worker has come for it

log = structlog.get_logger(__name__)


class Relay:
    def __init__(self) -> None:
        self.bell = Bell()
        self.executor = Executor(kind=Worker.Kind.RELAY)
        self.broker = Broker()
        self._slots = ThreadPoolExecutor(SLOTS, thread_name_prefix="slot")
        self._taken: set[int] = set()
        self._stopping = threading.Event()
        self._rounds_at = float("-inf")

    def run(self) -> None:
        """Until `stop` is called. Survives the database being away."""
        while not self._stopping.is_set():
            try:
                self._turn()
            except Error as error:
                log.warning("relay_waits_for_database", error=str(error))
                self.bell.deafen()
                connection.close()
                self._stopping.wait(SAFETY_POLL)
                self._rounds_at = float("-inf")

    def stop(self) -> None:
        self._stopping.set()
        self.bell.ring()

    def close(self, *, grace: float) -> None:
        """Finish or give back what runs here, and say goodbye."""
        self.broker.close()
        self._slots.shutdown(wait=False, cancel_futures=True)
        self.executor.stop(grace=grace)
        self.bell.close()

    def _turn(self) -> None:
        close_old_connections()
        if time.monotonic() - self._rounds_at >= SAFETY_POLL:
            self._rounds()
        dispatched = self._dispatch()
        self.bell.wait(0 if dispatched else self._until_next())

    def _rounds(self) -> None:
        """Once a second: who died, what time is it, who runs the handlers."""
        self._rounds_at = time.monotonic()
        self.bell.listen()
        clock.tick(timezone.now())
        if locks.settled():
            rescue.rescue_abandoned(but=self.executor.worker)
        self.executor.note(mode="celery" if self._celery_works() else "relay", broker_error=self.broker.error)

    def _celery_works(self) -> bool:
        return self.broker.answers and Worker.objects.alive().filter(kind=Worker.Kind.WORKER).exists()

    def _dispatch(self) -> bool:
        """One batch of due rows; True when there may be more to do at once."""
        if self._celery_works():
            self._run_here(
                self._due().filter(available_at__lt=timezone.now() - UNANSWERED_AFTER, queue__in=self._idle())
            )
            return self._hint_due()
        return self._run_here(self._due())

    def _due(self) -> DeliveryQuerySet:
        return Delivery.objects.due(timezone.now())

    def _idle(self) -> list[str]:
        return [queue for queue, depth in self.broker.depths.items() if depth < SHORT_QUEUE]

    def _hint_due(self) -> bool:
        lost = Q(hinted_at__lt=timezone.now() - REHINT_AFTER, queue__in=self._idle())
        full = [queue for queue, depth in self.broker.depths.items() if depth >= WINDOW]
        batch = list(self._due().filter(Q(hinted_at=None) | lost).exclude(queue__in=full)[:WINDOW])
        try:
            for row in batch:
                self.broker.hint(delivery_id=row.pk, queue=row.queue)
        except BrokerAway:
            return True  # what is left runs here, at once
        Delivery.objects.filter(pk__in=[row.pk for row in batch], state=Delivery.State.READY).update(
            hinted_at=timezone.now()
        )
        return len(batch) == WINDOW

    def _run_here(self, due: DeliveryQuerySet) -> bool:
        room = SLOTS - len(self._taken)
        ids = list(due.exclude(pk__in=tuple(self._taken)).values_list("pk", flat=True)[:room]) if room else []
        for delivery_id in ids:
            self._taken.add(delivery_id)
            self._slots.submit(self._attempt, delivery_id)
        return False  # a slot that comes free rings

    def _attempt(self, delivery_id: int) -> None:
        try:
            self.executor.attempt(delivery_id)
        except Error as error:
            log.warning("attempt_lost_database", delivery=delivery_id, error=str(error))
            connection.close()
        finally:
            self._taken.discard(delivery_id)
            self.bell.ring()

    def _until_next(self) -> float:
        """Seconds until the next row is due or the next rounds are."""
        rounds = SAFETY_POLL - (time.monotonic() - self._rounds_at)
        upcoming = (
            Delivery.objects.filter(state=Delivery.State.READY, available_at__gt=timezone.now())
            .order_by("available_at")
            .values_list("available_at", flat=True)
            .first()
        )
        wait = (upcoming - timezone.now()).total_seconds() if upcoming else SAFETY_POLL
        return max(0.0, min(rounds, wait))
