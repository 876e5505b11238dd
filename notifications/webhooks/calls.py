"""One call, from its turn to its end: delivered, tried again later, given up, or not wanted any more.

Locks are taken in one order: the endpoint, then its calls.
"""

from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from notifications.pipeline import effects, retention
from notifications.pipeline.models import Delivery
from notifications.pipeline.retries import Permanent, Retry, RetryLater
from notifications.webhooks import patience, sending, signing
from notifications.webhooks.endpoints import disable
from notifications.webhooks.fanout import may_hear, queue
from notifications.webhooks.models import Call, Endpoint
from notifications.webhooks.sending import Answer

# 5 s, 15 s, 45 s … 12 h, half of it chance: three days at the least, five and a half at most.
PATIENCE: Final = Retry(attempts=21, first=timedelta(seconds=5), longest=timedelta(hours=12))
KEPT_TRIES: Final = 30
USER_AGENT: Final = "Waybill-Webhooks/1"

State = Call.State
_ALIVE: Final = (Delivery.State.WAITING, Delivery.State.READY, Delivery.State.RUNNING)


def carry_out(*, call_id: int) -> None:
    """Call the endpoint, unless that has been done, is another delivery's to do, or is not wanted any more.

    For the handler of `webhook.queued`. Raises RetryLater while it does not work, and Permanent when it never did.
    """
    queued_by = effects.this_delivery().event_id
    mine = Call.objects.filter(pk=call_id, queued_by=queued_by, state__in=[State.QUEUED, State.FAILED])
    call = mine.select_related("endpoint__owner", "event").first()
    if call is None:
        return
    if call.endpoint.disabled_at or not may_hear(call.endpoint, call.event):
        _drop(call)
        return
    patience.await_room()
    patience.await_turn(call.endpoint)
    answer = _called(call)
    if answer.is_good:
        _note_success(call, answer)
    else:
        _note_failure(call, answer)


def resend(call: Call) -> bool:
    """Call again what was called, or given up: the same body under the same id. False while it is on its way."""
    patience.try_at_once(call.endpoint)
    with transaction.atomic():
        call = Call.objects.select_related("event").select_for_update(of=("self",)).get(pk=call.pk)
        driving = Delivery.objects.filter(event=call.queued_by_id, handler=patience.HANDLER, state__in=_ALIVE)
        if call.state == State.QUEUED and driving.exists():
            return False
        queue(call)
    return True


def tries_for(call: Call, viewer: Any) -> list[dict[str, Any]]:
    """The tries, the last one first. What came back is for staff only: it may be of a machine that is not theirs."""
    return [one if viewer.is_staff else {**one, "answer": ""} for one in reversed(call.tries)]


def body_for(call: Call, viewer: Any) -> str:
    """What was sent; nothing for who may not know of it any more."""
    return call.body if viewer.is_staff or may_hear(call.endpoint, call.event) else ""


def prune(*, most: int | None = None) -> int:
    """Forget calls that were queued as long ago as the pipeline forgets deliveries. Returns how many."""
    old = Call.objects.filter(queued_at__lt=timezone.now() - retention.KEPT)
    return retention.forget(old.order_by("pk"), most=most)


def _called(call: Call) -> Answer:
    now = timezone.now()
    endpoint = call.endpoint
    signed = signing.headers(
        secrets=endpoint.secrets(now), message_id=call.message_id, timestamp=int(now.timestamp()), body=call.body
    )
    usual = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "X-Request-ID": call.event.correlation_id}
    return sending.post(endpoint.url, headers={**usual, **signed}, body=call.body)


def _note_success(call: Call, answer: Answer) -> None:
    with transaction.atomic(durable=True):
        endpoint = _locked(call)
        if endpoint is not None:
            patience.note_success(endpoint, answer)
            _write(call, answer, state=State.DELIVERED, delivered_at=timezone.now())


def _note_failure(call: Call, answer: Answer) -> None:
    given_up = call.attempts + 1 >= PATIENCE.attempts
    with transaction.atomic(durable=True):
        endpoint = _locked(call)
        if endpoint is None or endpoint.disabled_at:
            return
        why_disable = patience.note_failure(endpoint, answer, seen_rest=call.endpoint.resting_until)
        _write(call, answer, state=State.FAILED if given_up else State.QUEUED)
        if why_disable:
            disable(endpoint, why=why_disable, by_itself=True)
            return
    words = f"{patience.named(endpoint)} answered {answer.status or 'nothing'}"
    if given_up:
        raise Permanent(f"{words}, after {PATIENCE.attempts} tries")
    raise RetryLater(PATIENCE.delay(call.attempts + 1).total_seconds(), words)


def _locked(call: Call) -> Endpoint | None:
    """The endpoint as it is now; None when it has been deleted meanwhile."""
    return Endpoint.objects.locked().filter(pk=call.endpoint_id).first()


def _write(call: Call, answer: Answer, **changes: Any) -> None:
    came_back = {
        "at": timezone.now().isoformat(timespec="milliseconds"),
        "status": answer.status,
        "seconds": round(answer.seconds, 3),
        "error": answer.error,
        "answer": answer.text,
    }
    tries = [*call.tries, came_back][-KEPT_TRIES:]
    Call.objects.filter(pk=call.pk).update(attempts=F("attempts") + 1, tries=tries, **changes)


def _drop(call: Call) -> None:
    Call.objects.filter(pk=call.pk, state=State.QUEUED).update(state=State.DROPPED)
