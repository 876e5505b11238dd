"""From an event to a call for each endpoint that listens to it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.conf import settings

from notifications.pipeline import effects
from notifications.pipeline.deadletters import DeliveryBuried
from notifications.pipeline.events import DomainEvent, declared, publish, seconds, subscribe
from notifications.pipeline.models import Event
from notifications.webhooks import interest
from notifications.webhooks.events import EndpointListens, WebhookQueued
from notifications.webhooks.models import Call, Endpoint
from notifications.webhooks.subjects import told

QUEUE: Final = "webhooks"
# A transaction may last 15 s, and until 5 s before its end it may not have known of a new endpoint.
ALL_HAVE_HEARD: Final = seconds(30)


def listen_to_everything_public() -> None:
    """Called once, when all events are declared."""
    subscribe(*(kind for kind in declared.values() if kind.public), queue=QUEUE, when=_is_wanted)(queue_webhooks)
    subscribe(EndpointListens, queue=QUEUE, after=ALL_HAVE_HEARD)(catch_up)


def _is_wanted(event: DomainEvent) -> bool:
    if isinstance(event, DeliveryBuried) and event.handler.endswith(".call_webhook"):
        return False  # else a dead call would be news to call about
    return interest.is_wanted(event.name)


def queue_webhooks(event: DomainEvent) -> None:  # noqa: ARG001  the row says more than the event
    """A call for each endpoint that listens to this event and may know of it."""
    running = effects.current.get()
    assert running is not None
    for endpoint in Endpoint.objects.enabled().select_related("owner"):
        _offer(running.event, endpoint)


def catch_up(event: EndpointListens) -> None:
    """Offer what was published since the endpoint listens, to whom processes did not know of it yet."""
    endpoint = Endpoint.objects.enabled().select_related("owner").filter(pk=event.endpoint_id).first()
    if endpoint is not None:
        for record in _published_since(endpoint):
            _offer(record, endpoint)


def queue_call(endpoint: Endpoint, record: Event) -> Call:
    """The call of this event, written if it is not there. Inside a transaction."""
    call, new = Call.objects.get_or_create(endpoint=endpoint, event=record, defaults={"body": _body(record)})
    if new:
        publish(WebhookQueued(call_id=call.pk), about=record.subject)
    return call


def _offer(record: Event, endpoint: Endpoint) -> None:
    if record.name not in endpoint.events:
        return
    owner: Any = endpoint.owner
    if owner.is_staff or told(record.subject).owner_id == owner.pk:
        queue_call(endpoint, record)


def _published_since(endpoint: Endpoint) -> Iterator[Event]:
    since = endpoint.listening_since
    for name in endpoint.events:
        for record in Event.objects.filter(name=name).order_by("-pk").iterator(chunk_size=200):
            if record.occurred_at < since - timedelta(minutes=1):
                break  # ids and times go together, but for the length of a transaction
            if record.occurred_at >= since:
                yield record


def _body(record: Event) -> str:
    """Thin on purpose: what happened to which thing, and where to read how it stands now."""
    about = told(record.subject)
    what: dict[str, Any] = {
        "event_id": str(record.uid),
        "sequence": record.pk,
        "object": about.kind,
        "object_id": about.id,
        "url": f"{settings.SITE_URL.rstrip('/')}{about.path}" if about.path else None,
        "request_id": record.correlation_id,
    }
    return json.dumps({"type": record.name, "timestamp": record.occurred_at.isoformat(), "data": what})
