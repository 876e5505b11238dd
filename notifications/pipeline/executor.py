"""This process as one that runs handlers: its row, its lock, its heartbeat, its clean stop."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.db import Error, connection, transaction
from django.utils import timezone

from notifications.pipeline import delivery, lease, rescue
from notifications.pipeline.events import subscription_of
from notifications.pipeline.locks import process_lock
from notifications.pipeline.models import Delivery, DeliveryQuerySet, Worker

BEAT_EVERY = 2.0  # seconds
RENEW_EVERY = 5  # beats: a third of the lease
ASK_DATABASE_EVERY = 1.0  # seconds, while it is away

Note = dict[str, Any]  # what a process says of itself

log = structlog.get_logger(__name__)


class Executor:
    """Runs deliveries on behalf of one Worker row.

    The lock is held before the row exists, so that nobody can take a newborn process for dead. alone: one delivery is
    all that this process will ever run.
    """

    def __init__(self, *, kind: Worker.Kind, queues: str = "", note: Note | None = None, alone: bool = False) -> None:
        key = secrets.randbits(31)
        self._lock = process_lock(key)
        self._lock.hold()
        self.worker = Worker.objects.create(
            kind=kind, host=socket.gethostname(), pid=os.getpid(), lock_key=key, queues=queues, note=note or {}
        )
        self._running: set[int] = set()
        self._alone = alone
        self._stopping = threading.Event()
        self._heart = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)
        self._heart.start()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def attempt(self, delivery_id: int) -> bool:
        """Run one delivery; False when it is not ours to run, or we are stopping."""
        if delivery_id in self._running:
            return False
        self._running.add(delivery_id)
        try:
            # Asked after we are in `_running`: `stop` either sees us there, or we see it here.
            return not self.stopping and delivery.attempt(
                delivery_id=delivery_id, worker=self.worker, alone=self._alone
            )
        finally:
            self._running.discard(delivery_id)

    def attempt_all(self, delivery_ids: Sequence[int]) -> int:
        """Run each that is ours to run; returns how many. What a stop or the database leaves over is hinted anew."""
        ran = 0
        for index, delivery_id in enumerate(delivery_ids):
            answered = self._attempt_answered(delivery_id)
            ran += bool(answered)
            if answered is None or self.stopping:
                self._hint_anew(delivery_ids[index:])
                break
        return ran

    def _attempt_answered(self, delivery_id: int) -> bool | None:
        """Whether it was ours to run; None when the database did not answer."""
        try:
            return self.attempt(delivery_id)
        except Error as error:
            log.warning("attempt_lost_database", delivery=delivery_id, error=str(error))
            return None

    def _hint_anew(self, delivery_ids: Sequence[int]) -> None:
        """When the database can be written to again: until then this thread takes no other hint, and so loses none."""
        while True:
            try:
                rescue.hint_anew(delivery_ids)
                return
            except Error:
                connection.close()
                if self._stopping.wait(ASK_DATABASE_EVERY):
                    return

    def stop(self, *, grace: float) -> None:
        """Claim no more, wait up to `grace` seconds for what runs, give the rest back unharmed."""
        self._stopping.set()
        deadline = time.monotonic() + grace
        while self._running and time.monotonic() < deadline:
            time.sleep(0.02)
        self._heart.join(BEAT_EVERY)  # or its last beat could call us alive again
        rescue.give_back(self.worker)
        Worker.objects.filter(pk=self.worker.pk).update(stopped_at=timezone.now())
        self._lock.release()

    def note(self, **facts: object) -> None:
        """Leave word for the staff pages; goes out with the next beat."""
        self.worker.note = facts

    def _beat_until_stopped(self) -> None:
        beats = 0
        while not self._stopping.wait(BEAT_EVERY):
            beats += 1
            try:
                self._beat(renew=beats % RENEW_EVERY == 0)
            except Error as error:
                log.warning("heartbeat_missed", error=str(error))
                connection.close()
        connection.close()

    def _beat(self, *, renew: bool) -> None:
        self._lock.hold()  # taken back here after the database server was away
        with transaction.atomic(durable=True):
            Worker.objects.filter(pk=self.worker.pk).update(
                beat_at=timezone.now(), note=self.worker.note, stopped_at=None
            )
            if renew and self._running:
                for row in self._mine():
                    if length := _lease_of(row):
                        self._mine().filter(pk=row.pk).update(lease_until=lease.until(length))

    def _mine(self) -> DeliveryQuerySet:
        return Delivery.objects.running().filter(worker=self.worker, pk__in=list(self._running))


def _lease_of(row: Delivery) -> timedelta:
    """None for what is over its limit, so that a rescue takes it away; what a hung thread does after that is fenced."""
    subscription = subscription_of(row.handler)
    if subscription is None or row.started_at is None:
        return lease.LEASE
    return lease.length(subscription.limit, gone=timezone.now() - row.started_at)


_lock = threading.Lock()
_by_pid: dict[int, Executor] = {}


def of_this_process(*, queues: str = "", note: Note | None = None) -> Executor:
    """The Executor of a Celery worker process, made on first use: a forked child gets its own."""
    with _lock:
        if os.getpid() not in _by_pid:
            _by_pid.clear()
            _by_pid[os.getpid()] = Executor(kind=Worker.Kind.WORKER, queues=queues, note=note)
        return _by_pid[os.getpid()]
