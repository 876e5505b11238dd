"""One call, from its turn to its end: delivered, tried again later, given up, or not wanted any more.

The endpoint is somebody else's, so its failures are kept apart from the pipeline's: they hold up no other endpoint.
One that fails rests, longer each time, and then one call tries it while the others wait. After three days without a
success it is disabled.
"""

from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from notifications.pipeline import retention
from notifications.pipeline.events import publish
from notifications.pipeline.retries import Permanent, Retry, RetryLater
from notifications.webhooks import sending, signing
from notifications.webhooks.endpoints import disable
from notifications.webhooks.events import WebhookQueued
from notifications.webhooks.models import Call, Endpoint
from notifications.webhooks.sending import Answer

# 5 s, 15 s, 45 s … 12 h, half of it chance: three days at the least, five at most.
PATIENCE: Final = Retry(attempts=21, first=timedelta(seconds=5), longest=timedelta(hours=12))
RESTS_AT: Final = 3  # failures one after another, after which an endpoint rests
REST: Final = Retry(first=timedelta(seconds=5), longest=timedelta(minutes=30))
ONE_TRIES: Final = timedelta(seconds=30)  # how long the others wait for the one that does
DISABLED_AFTER: Final = timedelta(days=3)  # without a success
GONE: Final = 410  # "do not call here again", as Standard Webhooks has it
KEPT_TRIES: Final = 30
USER_AGENT: Final = "Waybill-Webhooks/1"

State = Call.State


def carry_out(*, call_id: int) -> None:
    """Call the endpoint, unless that has been done or is not wanted any more.

    Raises RetryLater while it does not work, and Permanent when it never did.
    """
    call = Call.objects.select_related("endpoint", "event").filter(pk=call_id).first()
    if call is None or call.state in (State.DELIVERED, State.DROPPED):
        return
    if call.endpoint.disabled_at:
        _drop(call)
        return
    _await_turn(call.endpoint)
    answer = _called(call)
    if answer.is_good:
        _note_success(call, answer)
    else:
        _note_failure(call, answer)


def prune() -> int:
    """Forget calls that ended as long ago as the pipeline's deliveries. Returns how many."""
    ended = Call.objects.filter(state__in=[State.DELIVERED, State.DROPPED])
    return retention.forget(ended.filter(created_at__lt=timezone.now() - retention.KEPT).order_by("pk"))


def resend(call: Call) -> bool:
    """Call again what was called, or given up: the same body under the same id. False while it is on its way."""
    with transaction.atomic():
        ended = Call.objects.filter(pk=call.pk).exclude(state=State.QUEUED)
        if not ended.update(state=State.QUEUED, attempts=0, delivered_at=None):
            return False
        publish(WebhookQueued(call_id=call.pk), about=call.event.subject)
    call.state, call.attempts, call.delivered_at = State.QUEUED, 0, None
    return True


def tries_for(call: Call, *, staff: bool) -> list[dict[str, Any]]:
    """The tries, the last one first. What came back is for staff only: it may be of a machine that is not theirs."""
    return [one if staff else {**one, "answer": ""} for one in reversed(call.tries)]


def _await_turn(endpoint: Endpoint) -> None:
    """An endpoint that fails has its rest; behind it, one call tries and the others wait for its end."""
    rest, now = endpoint.resting_until, timezone.now()
    if rest is None:
        return
    if rest <= now:
        with transaction.atomic(durable=True):
            mine = Endpoint.objects.filter(pk=endpoint.pk, resting_until=rest)
            if mine.update(resting_until=now + ONE_TRIES):
                return
        rest = now + ONE_TRIES
    raise RetryLater(
        max(1.0, (rest - now).total_seconds()), f"{_named(endpoint)} does not work and rests until {rest:%H:%M:%S}"
    )


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
        _write(call, answer, state=State.DELIVERED, delivered_at=timezone.now())
        working = {"failures": 0, "failing_since": None, "resting_until": None}
        Endpoint.objects.filter(pk=call.endpoint_id).exclude(failures=0).update(**working)


def _note_failure(call: Call, answer: Answer) -> None:
    endpoint, why = call.endpoint, answer.error or f"It answered {answer.status}."
    with transaction.atomic(durable=True):
        given_up = call.attempts + 1 >= PATIENCE.attempts
        _write(call, answer, state=State.FAILED if given_up else State.QUEUED)
        Endpoint.objects.filter(pk=endpoint.pk).update(
            failures=F("failures") + 1, failing_since=Coalesce("failing_since", Now())
        )
        endpoint.refresh_from_db()
        if endpoint.failures >= RESTS_AT:
            endpoint.resting_until = timezone.now() + REST.delay(endpoint.failures - RESTS_AT + 1)
            endpoint.save(update_fields=["resting_until"])
        if reason := _reason_to_disable(endpoint, answer):
            disable(endpoint, why=reason, tell=True)
            _drop(call)
            return
    if given_up:
        raise Permanent(f"{_named(endpoint)} was called {PATIENCE.attempts} times: {why}")
    raise RetryLater(PATIENCE.delay(call.attempts + 1).total_seconds(), f"{_named(endpoint)}: {why}")


def _reason_to_disable(endpoint: Endpoint, answer: Answer) -> str:
    if answer.status == GONE:
        return "It answered 410: it is gone."
    if endpoint.failing_since and endpoint.failing_since < timezone.now() - DISABLED_AFTER:
        return f"No call has reached it since {endpoint.failing_since:%Y-%m-%d %H:%M} UTC."
    return ""


def _named(endpoint: Endpoint) -> str:
    """Not by its address, which may hold a secret: buyers read on what their order waits."""
    return f"webhook endpoint {endpoint.pk}"


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
