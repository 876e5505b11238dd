"""Whose worker died? Give its work back: within a second by its lock, at the latest by its lease."""

from collections.abc import Sequence
from datetime import timedelta

import structlog
from django.db import transaction
from django.utils import timezone

from notifications.pipeline import deadletters, doorbell, lease, locks
from notifications.pipeline.models import Attempt, Delivery, Worker
from notifications.pipeline.retries import USUAL
from notifications.pipeline.signals import buried

POISON = 3  # a delivery whose worker died this often is what kills them: the last time it was alone (solitary.py)
SUSPECT = POISON - 1
KILLER = f"It killed its worker {POISON} times."

log = structlog.get_logger(__name__)


def rescue_abandoned(*, but: Worker) -> int:
    """Free what dead processes were running, and what outlived its lease. Returns how many."""
    freed = 0
    for worker in Worker.objects.unstopped().exclude(pk=but.pk):
        if locks.is_free(worker.lock_key):
            freed += _bury_worker(worker)
    for row in Delivery.objects.running().filter(lease_until__lt=lease.now()):
        freed += _crashed(row, "Its lease ran out: the worker hung or lost the database.")
    return freed


def _bury_worker(worker: Worker) -> int:
    rows = list(Delivery.objects.running().filter(worker=worker))
    freed = sum(_crashed(row, f"{worker} died while running it.") for row in rows)
    Worker.objects.filter(pk=worker.pk, stopped_at=None).update(stopped_at=timezone.now())
    log.warning("worker_died", worker=str(worker), freed=freed)
    return freed


def _crashed(row: Delivery, why: str) -> int:
    poison = row.crashes + 1 >= POISON
    wait = USUAL.delay(row.attempt) if row.crashes else timedelta(0)
    ends = (
        {
            "state": Delivery.State.DEAD,
            "finished_at": timezone.now(),
            "last_error": KILLER,
            "fingerprint": deadletters.digest(KILLER),
        }
        if poison
        else {"state": Delivery.State.READY, "available_at": timezone.now() + wait, "last_error": why}
    )
    with transaction.atomic(durable=True):
        freed = _take_away(row, crashes=row.crashes + 1, **ends)
        if freed:
            _note(row, Attempt.Outcome.CRASHED, why)
        if freed and poison:
            deadletters.tell(row, fingerprint=deadletters.digest(KILLER), sentence=KILLER)
    if freed and poison:
        buried.send_robust(sender=Delivery, delivery=row)
    return freed


def give_back(worker: Worker) -> int:
    """A clean stop: what this process has not finished is READY again and burns no attempt."""
    freed = 0
    for row in Delivery.objects.running().filter(worker=worker):
        with transaction.atomic(durable=True):
            given = _take_away(
                row, state=Delivery.State.READY, attempt=max(row.attempt - 1, 0), available_at=timezone.now()
            )
            if given:
                _note(row, Attempt.Outcome.STOPPED, "The worker was stopped; given back.")
        freed += given
    return freed


def hint_anew(delivery_ids: Sequence[int]) -> None:
    """Their hint has come to nothing: whoever hints may do so again at once."""
    Delivery.objects.filter(pk__in=delivery_ids, state=Delivery.State.READY).update(hinted_at=None)
    doorbell.ring()


def _take_away(row: Delivery, **changes: object) -> int:
    return (
        Delivery.objects.running()
        .filter(pk=row.pk, token=row.token)
        .update(token=row.token + 1, worker=None, hinted_at=None, **changes)
    )


def _note(row: Delivery, outcome: Attempt.Outcome, why: str) -> None:
    Attempt.objects.create(
        delivery=row,
        n=row.attempt,
        token=row.token,
        worker_id=row.worker_id,
        started_at=row.started_at,
        outcome=outcome,
        message=why,
    )
