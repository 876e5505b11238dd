"""One delivery, from claim to its end: done, tried again later, or dead.

The claim is one conditional UPDATE that moves the fence (`token`). Every later write names that
token, so a process that was given up for dead, and is not, finds zero rows and undoes its work.
"""

import traceback
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone

from notifications import correlation, reporting, tracing
from notifications.pipeline import brakes, deadletters, doorbell, effects, lease, ordering, queues, rescue
from notifications.pipeline.decisions import entry
from notifications.pipeline.events import BadPayload, Subscription, declared, subscription_of
from notifications.pipeline.models import Attempt, Delivery, Event, Worker
from notifications.pipeline.retries import USUAL, Permanent, RetryLater
from notifications.pipeline.signals import buried

TRACEBACK_KEPT = 8_000  # characters: the end of it, where the cause is
UNREADABLE_WAIT = 60.0  # seconds until we look again whether a deploy has brought what was missing

# Every delivery passes through these three; spelled by hand they cost half of what the ORM takes to spell them anew.
# In one statement: is it READY and due, its queue not paused, and its handler neither paused nor resting? And unless
# asked for anyway: may it run whatever else runs, since its queue has no limit and its handler does not fail? Who was
# running when processes died is only claimed by one that runs nothing else.
_CLAIM = """
    UPDATE notifications_delivery
    SET state = 'running', attempt = attempt + 1, token = token + 1, worker_id = %s, lease_until = {until},
        started_at = %s
    WHERE id = %s AND state = 'ready' AND available_at <= %s AND (crashes < %s OR %s) AND NOT EXISTS (
        SELECT 1 FROM notifications_brake AS brake WHERE brake.handler = notifications_delivery.handler
        AND (brake.paused_at IS NOT NULL OR brake.resting_until > %s)) AND NOT EXISTS (
        SELECT 1 FROM notifications_queue AS queue WHERE queue.name = notifications_delivery.queue
        AND queue.paused_at IS NOT NULL) AND (%s OR NOT EXISTS (
        SELECT 1 FROM notifications_brake AS brake WHERE brake.handler = notifications_delivery.handler
        AND brake.fails >= %s) AND NOT EXISTS (
        SELECT 1 FROM notifications_queue AS queue WHERE queue.name = notifications_delivery.queue
        AND queue.at_once IS NOT NULL))
    RETURNING *, (
        SELECT fails FROM notifications_brake AS brake WHERE brake.handler = notifications_delivery.handler) AS fails, (
        SELECT at_once FROM notifications_queue AS queue WHERE queue.name = notifications_delivery.queue) AS at_once
"""
# A lease is written and judged by one clock: that of the server, where there is one.
CLAIM = {"sqlite": _CLAIM.format(until="%s"), "postgresql": _CLAIM.format(until="statement_timestamp() + %s")}
EVENT = "SELECT * FROM notifications_event WHERE id = %s"
COMPLETE = """
    UPDATE notifications_delivery SET state = 'done', finished_at = %s, last_error = '', crashes = 0
    WHERE id = %s AND state = 'running' AND token = %s
"""

log = structlog.get_logger(__name__)


class Fenced(Exception):
    """The row changed hands while we worked: our work must not count."""


@dataclass(frozen=True)
class _Claim:
    delivery: Delivery
    token: int
    failing: bool  # others of its handler have failed just now
    in_turn: bool  # others of its queue may wait for its end

    def update(self, **changes: Any) -> None:
        """Write to the row if it is still ours; raises Fenced otherwise."""
        mine = Delivery.objects.running().filter(pk=self.delivery.pk, token=self.token)
        if mine.update(**changes) != 1:
            raise Fenced

    def complete(self) -> None:
        """It is DONE, if it is still ours; raises Fenced otherwise."""
        finished = connection.ops.adapt_datetimefield_value(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(COMPLETE, [finished, self.delivery.pk, self.token])
            if cursor.rowcount != 1:
                raise Fenced


def attempt(*, delivery_id: int, worker: Worker, alone: bool = False) -> bool:
    """Run delivery `delivery_id` if it is READY and due; False when somebody else has it.

    alone: this process runs nothing else, so it may also run what may kill it.

    Never raises for what the handler does: its failure becomes an Attempt and a later try, or a
    dead letter. Database errors around the handler do escape; the lease then brings the row back.
    """
    claim = _claim(delivery_id, worker, alone)
    if claim is None:
        return False
    event = claim.delivery.event
    with (
        correlation.bound(correlation_id=event.correlation_id, actor=claim.delivery.handler, cause=event.pk),
        tracing.span(claim.delivery.handler, kind="CONSUMER", parent=event.traceparent, **_facts(claim)),
    ):
        try:
            _run(claim)
        except Fenced:
            log.warning("delivery_fenced", **_names(claim))
            _record(claim, Attempt.Outcome.FENCED, message="Rescued meanwhile; this run was undone.")
    if claim.in_turn or claim.delivery.order_key is not None:
        doorbell.ring(surely=claim.in_turn)  # the next one's turn has come
    return True


def _claim(delivery_id: int, worker: Worker, alone: bool) -> _Claim | None:
    row = take(delivery_id, worker, alone=alone) or _take_if_there_is_room(delivery_id, worker, alone)
    if row is None:
        return None
    [row.event] = Event.objects.raw(EVENT, [row.event_id])
    facts = vars(row)
    return _Claim(delivery=row, token=row.token, failing=bool(facts["fails"]), in_turn=bool(facts["at_once"]))


def take(delivery_id: int, worker: Worker, *, alone: bool = False, anyway: bool = False) -> Delivery | None:
    """It is RUNNING and the worker's; None when it may not be. A transaction of its own, outside of one."""
    now = timezone.now()
    until = lease.LEASE if connection.vendor == "postgresql" else now + lease.LEASE
    values = [worker.pk, until, now, delivery_id, now, rescue.SUSPECT, alone, now, anyway, brakes.TRIPS_AT]
    return next(iter(Delivery.objects.raw(CLAIM[connection.vendor], values)), None)


def _take_if_there_is_room(delivery_id: int, worker: Worker, alone: bool) -> Delivery | None:
    """The same where the queue has a limit or the handler fails: if it is the next, or the one that is tried."""
    with transaction.atomic(durable=True):
        row = take(delivery_id, worker, alone=alone, anyway=True)
        if row is None:
            return None
        fails, at_once = vars(row)["fails"] or 0, vars(row)["at_once"]
        leased = timezone.now() + lease.LEASE
        rests = fails >= brakes.TRIPS_AT and not brakes.be_the_canary(row.handler, until=leased)
        full = at_once and not queues.has_room(row.queue)
        if rests or full:
            transaction.set_rollback(True)
    if full:
        rescue.hint_anew([delivery_id])
    return None if rests or full else row


def _run(claim: _Claim) -> None:
    running = effects.current.set(claim.delivery)
    try:
        _handle(claim, _subscription(claim))
    except RetryLater as later:
        _snooze(claim, later)
    except Permanent as reason:
        _bury(claim, reason)
    except Fenced:
        raise
    except Exception as error:  # noqa: BLE001  the delivery boundary: the only place that may say this
        _fail(claim, error)
    finally:
        effects.current.reset(running)


def _subscription(claim: _Claim) -> Subscription:
    found = subscription_of(claim.delivery.handler)
    if found is None:
        raise RetryLater(UNREADABLE_WAIT, f"no handler named {claim.delivery.handler} in this release")
    return found


def _handle(claim: _Claim, subscription: Subscription) -> None:
    event = _event(claim)
    if (short := lease.length(subscription.limit)) < lease.LEASE:
        claim.update(lease_until=lease.until(short))
    newer = ordering.superseded_by(claim.delivery) if subscription.latest_only else None
    if newer is not None:
        _skip(claim, newer)
        return
    if subscription.atomic:
        with transaction.atomic(durable=True):
            subscription.function(event)
            _complete(claim)
    else:
        subscription.function(event)
        with transaction.atomic(durable=True):
            _complete(claim)
    log.info("delivery_done", **_names(claim))


def _event(claim: _Claim) -> Any:
    record = claim.delivery.event
    payload, version = claim.delivery.reading
    kind = declared.get(record.name)
    if kind is None or version > kind.version:
        raise RetryLater(UNREADABLE_WAIT, f"{record.name} version {version} is unknown to this release")
    try:
        return kind.from_payload(payload, version)
    except (BadPayload, TypeError) as error:
        raise Permanent(f"payload does not fit {record.name}: {error}") from error


def _complete(claim: _Claim) -> None:
    claim.complete()
    ordering.hand_on(claim.delivery)
    _tell_brake(claim)


def _skip(claim: _Claim, newer: Delivery) -> None:
    """The same handler has, or will have, a later word of the same subject: this one says nothing new."""
    why = entry("skip", by="pipeline", reason=f"{newer.event} came after it")
    with transaction.atomic(durable=True):
        history = [*(claim.delivery.resolution or []), why]
        claim.update(state=Delivery.State.CANCELLED, finished_at=timezone.now(), resolution=history)
        ordering.hand_on(claim.delivery)
        brakes.wake(claim.delivery.handler)  # were it the one that is tried, another would be now
    log.info("delivery_skipped", **_names(claim), newer=newer.pk)


def _snooze(claim: _Claim, later: RetryLater) -> None:
    with transaction.atomic(durable=True):
        wait = timedelta(seconds=later.seconds)
        error = "" if later.going_well else str(later)
        burnt = 0 if later.going_well else claim.delivery.attempt - 1  # a long job that goes on has no bad past
        _put_back(claim, wait=wait, error=error, attempt=burnt)
        _tell_brake(claim, later)


def _fail(claim: _Claim, error: Exception) -> None:
    if claim.delivery.attempt >= claim.delivery.max_attempts:
        _bury(claim, error)
        return
    log.warning("delivery_failed", **_names(claim), **_kind_of(error))
    subscription = subscription_of(claim.delivery.handler)
    wait = (subscription.retry if subscription else USUAL).delay(claim.delivery.attempt)
    with transaction.atomic(durable=True):
        _record_error(claim, error)
        _put_back(claim, wait=wait, error=_sentence(error))
        _tell_brake(claim, error)


def _put_back(claim: _Claim, *, wait: timedelta, error: str, **changes: Any) -> None:
    """It ended on its own feet, so what killed earlier workers was not this delivery."""
    claim.update(
        state=Delivery.State.READY,
        crashes=0,
        available_at=timezone.now() + wait,
        worker=None,
        hinted_at=None,
        last_error=error,
        **changes,
    )


def _bury(claim: _Claim, error: Exception) -> None:
    with transaction.atomic(durable=True):
        _record_error(claim, error)
        mark = deadletters.fingerprint(error)
        claim.update(
            state=Delivery.State.DEAD, finished_at=timezone.now(), last_error=_sentence(error), fingerprint=mark
        )
        deadletters.tell(claim.delivery, fingerprint=mark, sentence=_sentence(error))
        _tell_brake(claim, error)
    log.error("delivery_buried", **_names(claim), **_kind_of(error))
    if not isinstance(error, Permanent):
        reporting.died(error, handler=claim.delivery.handler)
    buried.send_robust(sender=Delivery, delivery=claim.delivery)


def _tell_brake(claim: _Claim, error: Exception | None = None) -> None:
    """Whether its handler works. That this one delivery is refused, or has to wait, says that it does."""
    refused = isinstance(error, Permanent) and not isinstance(error, effects.MayHaveHappened)
    waits = isinstance(error, RetryLater) and not error.outage
    if error is not None and not refused and not waits:
        mark = deadletters.fingerprint(error)
        brakes.note_failure(claim.delivery, fingerprint=mark, sentence=_sentence(error))
    elif claim.failing:
        brakes.note_success(claim.delivery.handler)


def _record_error(claim: _Claim, error: Exception) -> None:
    tracing.failed(error)
    text = "".join(traceback.format_exception(error))[-TRACEBACK_KEPT:]
    _record(claim, Attempt.Outcome.ERROR, error_class=type(error).__qualname__, message=str(error), traceback=text)


def _record(claim: _Claim, outcome: Attempt.Outcome, **facts: str) -> None:
    delivery = claim.delivery
    Attempt.objects.create(
        delivery=delivery,
        n=delivery.attempt,
        token=claim.token,
        worker_id=delivery.worker_id,
        started_at=delivery.started_at,
        outcome=outcome,
        **facts,
    )


def _sentence(error: Exception) -> str:
    return f"{type(error).__qualname__}: {error}" if not isinstance(error, Permanent) else str(error)


def _kind_of(error: Exception) -> dict[str, str]:
    """For the log, which forgets nobody: what an error says may quote an address. The page of the delivery has it."""
    return {"error": type(error).__qualname__, "fingerprint": deadletters.fingerprint(error)}


def _facts(claim: _Claim) -> dict[str, str | int]:
    """Attributes of its span, by the names of OpenTelemetry's conventions for messaging where there are some."""
    event = claim.delivery.event
    return {
        "messaging__system": tracing.SERVICE,
        "messaging__destination__name": claim.delivery.queue,
        "messaging__message__id": str(event.uid),
        "messaging__message__conversation_id": event.correlation_id,
        "waybill__event": event.name,
        "waybill__delivery": claim.delivery.pk,
        "waybill__attempt": claim.delivery.attempt,
    }


def _names(claim: _Claim) -> dict[str, Any]:
    return {"delivery": claim.delivery.pk, "handler": claim.delivery.handler, "attempt": claim.delivery.attempt}
