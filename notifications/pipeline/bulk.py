"""Deciding about many dead letters at once: a job of its own, slow enough not to knock over what has just come back.

The job is a row and an event; its handler decides about some deliveries and comes back a second later for the next,
so it survives whatever its worker does not, anybody can watch it, and a person can stop it.
"""

from contextlib import suppress
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from notifications.audit import log as audit
from notifications.pipeline import decisions
from notifications.pipeline.decisions import NotWaiting
from notifications.pipeline.events import DomainEvent, publish
from notifications.pipeline.models import BulkDecision, Delivery, DeliveryQuerySet
from notifications.pipeline.retries import RetryLater

AT_ONCE: Final = 10  # deliveries a second
PAUSE: Final = 1.0  # seconds
Action, State = BulkDecision.Action, BulkDecision.State


class BulkDecided(DomainEvent, name="deliveries.decided"):
    """Fires when a person decided about many dead deliveries at once. `handler` and `fingerprint` say which."""

    bulk_id: int


def decide(
    *, action: BulkDecision.Action, by: str, handler: str = "", fingerprint: str = "", reason: str = "", canary: bool
) -> BulkDecision:
    """Retry or discard every delivery that is dead now, of this handler and fingerprint where they are given.

    canary: retry one first, and the others once it is done; when it dies again, nothing more is tried.
    """
    with transaction.atomic():
        bulk = BulkDecision(
            action=action, handler=handler, fingerprint=fingerprint, reason=reason, by=by, canary_first=canary
        )
        last = matching(bulk).order_by("-pk").values_list("pk", flat=True).first()
        bulk.up_to, bulk.total = last or 0, matching(bulk).count()
        bulk.save()
        publish(BulkDecided(bulk_id=bulk.pk), about=bulk)
        _note(bulk, str(action))
    return bulk


def _note(bulk: BulkDecision, action: str) -> None:
    what = {"handler": bulk.handler, "fingerprint": bulk.fingerprint, "deliveries": bulk.total}
    audit.record(f"deliveries.{action}", about=bulk, actor=bulk.by, after=what)


def undo(discarded: BulkDecision, *, by: str) -> BulkDecision:
    """Take a discard of many back: what it has given up is as it was. Raises NotWaiting when that has been done, or
    when the job was no discard or is not over.
    """
    if discarded.action != Action.DISCARD or discarded.state == State.RUNNING:
        raise NotWaiting(f"{discarded} cannot be taken back")
    same = {name: getattr(discarded, name) for name in ("handler", "fingerprint", "up_to", "reason")}
    bulk = BulkDecision(action=Action.UNDO, undoes=discarded, by=by, **same)
    try:
        with transaction.atomic():
            bulk.total = matching(bulk).count()
            bulk.save()
            publish(BulkDecided(bulk_id=bulk.pk), about=bulk)
            _note(bulk, str(Action.UNDO))
    except IntegrityError as error:
        raise NotWaiting(f"{discarded} has been taken back already") from error
    return bulk


def matching(bulk: BulkDecision) -> DeliveryQuerySet:
    """What is left to decide about: dead still, and dead when it was decided; or what the other job has discarded."""
    wanted = {"handler": bulk.handler, "fingerprint": bulk.fingerprint, "pk__lte": bulk.up_to}
    chosen = Delivery.objects.filter(**{name: value for name, value in wanted.items() if value})
    if bulk.undoes is None:
        return chosen.dead()
    return chosen.filter(state=Delivery.State.CANCELLED, finished_at__gte=bulk.undoes.started_at)


def stop(bulk: BulkDecision, *, by: str) -> bool:
    """Decide about no more of them. False when the job had come to its end already."""
    running = BulkDecision.objects.filter(pk=bulk.pk, state=State.RUNNING)
    with transaction.atomic():
        stopped = bool(running.update(state=State.STOPPED, finished_at=timezone.now(), note=f"stopped by {by}"))
        if stopped:
            audit.record("deliveries.stop", about=bulk, actor=by)
    return stopped


def carry_on(bulk_id: int) -> None:
    """The next few. Raises RetryLater while more are left."""
    bulk = BulkDecision.objects.select_related("canary", "undoes").get(pk=bulk_id)
    if bulk.state != State.RUNNING:
        return
    if bulk.canary_first and not _canary_is_well(bulk):
        return
    rows = list(matching(bulk).exclude(pk__lte=bulk.reached).order_by("pk")[:AT_ONCE])
    _decide_about(bulk, rows)
    if len(rows) < AT_ONCE:
        _end(bulk, State.DONE)
    else:
        raise RetryLater(PAUSE, "more are left", going_well=True)


def _canary_is_well(bulk: BulkDecision) -> bool:
    if bulk.canary is None:
        first = matching(bulk).order_by("pk").first()
        if first is None:
            return True
        BulkDecision.objects.filter(pk=bulk.pk).update(canary=first, canary_attempt=first.attempt)
        _decide_about(bulk, [first])
        raise RetryLater(PAUSE, "one is tried first", going_well=True)
    match bulk.canary.state:
        case Delivery.State.DEAD:
            _end(bulk, State.FAILED, note="the one that was tried first died again")
            return False
        case Delivery.State.DONE | Delivery.State.CANCELLED:
            return True
        case Delivery.State.READY if bulk.canary.attempt > bulk.canary_attempt:  # it has failed, and only waits
            _end(bulk, State.FAILED, note="the one that was tried first failed again")
            return False
        case _:
            raise RetryLater(PAUSE, "one is tried first", going_well=True)


def _decide_about(bulk: BulkDecision, rows: list[Delivery]) -> None:
    for row in rows:
        with suppress(NotWaiting):  # somebody was faster
            if bulk.action == Action.RETRY:
                decisions.retry(delivery=row, by=bulk.by)
            elif bulk.undoes is not None:
                _take_back(row, bulk.undoes, by=bulk.by)
            else:
                decisions.discard(delivery=row, by=bulk.by, reason=bulk.reason)
    if rows:
        reached = rows[-1].pk
        # Counted from what is left: a worker that died in the middle has decided about some that it told nobody of.
        done = max(bulk.total - matching(bulk).filter(pk__gt=reached).count(), 0)
        BulkDecision.objects.filter(pk=bulk.pk).update(done=done, reached=reached)


def _take_back(row: Delivery, discarded: BulkDecision, *, by: str) -> None:
    """If it was that job that gave it up: somebody may have discarded others of the kind one by one."""
    last = (row.resolution or [{}])[-1]
    if (last.get("by"), last.get("reason")) == (discarded.by, discarded.reason):
        decisions.undo(delivery=row, by=by)


def _end(bulk: BulkDecision, state: BulkDecision.State, *, note: str = "") -> None:
    BulkDecision.objects.filter(pk=bulk.pk, state=State.RUNNING).update(
        state=state, finished_at=timezone.now(), note=note
    )
