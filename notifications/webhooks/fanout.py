"""From an event to a call for each endpoint that listens to it."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from notifications.pipeline import effects
from notifications.pipeline.deadletters import DeliveryBuried
from notifications.pipeline.events import DomainEvent, declared, publish, seconds, subscribe
from notifications.pipeline.models import Event
from notifications.webhooks import interest
from notifications.webhooks.events import EndpointListens, WebhookQueued
from notifications.webhooks.models import Call, Endpoint
from notifications.webhooks.subjects import told

QUEUE: Final = "webhooks"
# A process may not have known of a new endpoint for 5 s, and what it published then is seen at its commit: soon after,
# nearly always. The second look is for a transaction that takes minutes.
SOON, LATE = seconds(30), timedelta(minutes=15)


def listen_to_everything_public() -> None:
    """Called once, when all events are declared."""
    subscribe(*(kind for kind in declared.values() if kind.public), queue=QUEUE, when=_is_wanted)(queue_webhooks)
    subscribe(EndpointListens, queue=QUEUE, after=SOON)(catch_up)
    subscribe(EndpointListens, queue=QUEUE, after=LATE)(catch_up_again)


def _is_wanted(event: DomainEvent) -> bool:
    if isinstance(event, DeliveryBuried) and event.handler.endswith(".call_webhook"):
        return False  # else a dead call would be news to call about
    return interest.is_wanted(event.name)


def queue_webhooks(event: DomainEvent) -> None:  # noqa: ARG001  the row says more than the event
    """A call for each endpoint that listens to this event and may know of it."""
    record = effects.this_delivery().event
    owner = told(record.subject).owner_id
    for endpoint in Endpoint.objects.enabled().filter(Q(owner__is_staff=True) | Q(owner=owner)):
        if record.name in endpoint.events:
            queue_call(endpoint, record)


def catch_up(event: EndpointListens) -> None:
    """Offer what was published since it listens, to whom processes did not know of it yet."""
    endpoint = Endpoint.objects.enabled().select_related("owner").filter(pk=event.endpoint_id).first()
    if endpoint is not None:
        for record in _published_since(effects.this_delivery().event.occurred_at, endpoint.events):
            if may_hear(endpoint, record):
                queue_call(endpoint, record)


def catch_up_again(event: EndpointListens) -> None:
    catch_up(event)


def may_hear(endpoint: Endpoint, record: Event) -> bool:
    """Staff hear of everything; anybody else of what is their own."""
    owner: Any = endpoint.owner
    return owner.is_active and (owner.is_staff or told(record.subject).owner_id == owner.pk)


def queue_call(endpoint: Endpoint, record: Event) -> Call:
    """The call of this event, written and queued if it is not there. Inside a transaction."""
    call, new = Call.objects.get_or_create(endpoint=endpoint, event=record, defaults={"body": _body(record)})
    if new:
        queue(call)
    return call


def queue(call: Call) -> None:
    """A delivery of its own calls from now on; one from before has nothing more to do with it. Inside a transaction."""
    call.queued_by = publish(WebhookQueued(call_id=call.pk), about=call.event.subject)
    call.queued_at, call.state, call.attempts, call.delivered_at = timezone.now(), Call.State.QUEUED, 0, None
    call.save(update_fields=["queued_by", "queued_at", "state", "attempts", "delivered_at"])


def _published_since(start: datetime, names: Iterable[str]) -> Iterator[Event]:
    for name in names:
        for record in Event.objects.filter(name=name).order_by("-pk").iterator(chunk_size=200):
            if record.occurred_at < start - timedelta(hours=1):
                break  # ids and times go together, but for the length of a transaction
            if record.occurred_at >= start:
                yield record


def _body(record: Event) -> str:
    """Thin on purpose: what happened to which thing, and where to read how it stands now."""
    about = told(record.subject)
    what: dict[str, Any] = {
        "event_id": str(record.uid),
        "sequence": record.pk,
        "object": about.kind,
        "object_id": about.id,
        "url": f"{settings.SITE_URL}{about.path}" if about.path else None,
        "request_id": record.correlation_id,
    }
    return json.dumps({"type": record.name, "timestamp": record.occurred_at.isoformat(), "data": what})
