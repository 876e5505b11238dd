"""Queues: what waits in each, which a person has paused, and how many deliveries of one run at once.

Both hold for all workers together, from the next claim on, and through restarts.
"""

from dataclasses import dataclass
from datetime import datetime

from celery import current_app
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from notifications.audit import log as audit
from notifications.pipeline import doorbell
from notifications.pipeline.models import Delivery, Queue

MOST_AT_ONCE = 1000


class UnknownQueue(Exception):
    """No handler can be in a queue of that name."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One queue at one moment. at_once: how many may run; None for as many as there are hands."""

    name: str
    waiting: int
    running: int
    at_once: int | None
    paused_by: str
    reason: str


def loads() -> list[Load]:
    """Of each queue, in the order of their declaration. Two queries."""
    due, running = Q(state="ready", available_at__lte=timezone.now()), Q(state="running")
    rows = Delivery.objects.open("ready", "running").filter(due | running).values("queue").order_by()
    counted = rows.annotate(due=Count("pk", filter=due), running=Count("pk", filter=running))
    waiting = {row["queue"]: (row["due"], row["running"]) for row in counted}
    kept = {queue.name: queue for queue in Queue.objects.all()}
    return [_load(kept.get(name, Queue(name=name)), *waiting.get(name, (0, 0))) for name in names()]


def _load(queue: Queue, waiting: int, running: int) -> Load:
    return Load(
        name=queue.name,
        waiting=waiting,
        running=running,
        at_once=queue.at_once,
        paused_by=queue.paused_by,
        reason=queue.reason,
    )


def names() -> list[str]:
    return [queue.name for queue in current_app.conf.task_queues]


def pause(name: str, *, by: str, reason: str = "") -> None:
    """Start nothing of this queue until it is resumed; what runs comes to its end. Raises UnknownQueue."""
    _change(name, "queue.paused", by, paused_at=timezone.now(), paused_by=by, reason=reason[:200])


def resume(name: str, *, by: str = "") -> bool:
    """Go on. False when it was not paused. by: as the context says, if not given. Raises UnknownQueue."""
    was_paused = Queue.objects.filter(name=name).exclude(paused_at=None).exists()
    _change(name, "queue.resumed", by, paused_at=None, paused_by="", reason="")
    return was_paused


def limit(name: str, at_once: int | None, *, by: str = "") -> None:
    """Let so many of its deliveries run at once, on all machines together. Raises UnknownQueue and ValueError."""
    if at_once is not None and not 1 <= at_once <= MOST_AT_ONCE:
        raise ValueError(f"at once: a number from 1 to {MOST_AT_ONCE}, or none, not {at_once}")
    _change(name, "queue.limited", by, at_once=at_once)


def limits() -> dict[str, int]:
    """Of the queues that have one."""
    return {queue.name: queue.at_once for queue in Queue.objects.all() if queue.at_once}


def running(name: str) -> int:
    return Delivery.objects.running().filter(queue=name).count()


def moving(since: datetime) -> set[str]:
    """Where something runs, or has come to its end since then."""
    lately = Delivery.objects.filter(state="done", finished_at__gt=since).values_list("queue", flat=True)
    return set(lately.union(Delivery.objects.running().values_list("queue", flat=True)))


def has_room(name: str) -> bool:
    """Whether one that was just claimed may run, in its claim's transaction. Claims of its queue take turns here."""
    queue = Queue.objects.select_for_update().get(name=name)
    return queue.at_once is None or running(name) <= queue.at_once


def _change(name: str, action: str, by: str, **facts: object) -> None:
    if name not in names():
        raise UnknownQueue(f"There is no queue {name}. There are: {', '.join(names())}.")
    with transaction.atomic():
        Queue.objects.update_or_create(name=name, defaults=facts)
        at_once = {"at_once": facts["at_once"]} if "at_once" in facts else None
        audit.record(action, about=f"queue:{name}", actor=by, after=at_once)
        doorbell.ring_after_commit()
