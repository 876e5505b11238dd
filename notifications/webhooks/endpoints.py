"""What an owner does with an endpoint, and what the shop does when one has long been silent."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from notifications.pipeline.events import DomainEvent, declared, publish
from notifications.webhooks import guard, interest
from notifications.webhooks.events import EndpointDisabled, EndpointListens, WebhookTested
from notifications.webhooks.fanout import queue_call
from notifications.webhooks.models import Call, Endpoint, new_secret

MOST: Final = 10  # endpoints of one owner
OF_CUSTOMERS: Final = ("order.", "payment.")  # what can be about something of theirs
OLD_SECRET_HOLDS: Final = timedelta(hours=24)  # so long, calls are signed with both


class Invalid(ValueError):
    """A value that an endpoint cannot have. `field` is its name; the message says what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def public_events(*, staff: bool) -> dict[str, str]:
    """What an endpoint of staff, or of anybody else, can listen to: names, and when each fires."""
    allowed = (kind for name, kind in sorted(declared.items()) if staff or name.startswith(OF_CUSTOMERS))
    return {kind.name: _when(kind) for kind in allowed if kind.public}


def _when(kind: type[DomainEvent]) -> str:
    words = " ".join((kind.__doc__ or "").split()).removeprefix("Fires when ")
    return words.partition(". ")[0].rstrip(".")


def open_endpoint(*, owner: Any, url: str, events: Sequence[str], description: str = "") -> Endpoint:
    """A new endpoint of this user, with its secret. Raises Invalid."""
    _check(owner, url=url, events=events)
    with transaction.atomic():
        get_user_model().objects.select_for_update().get(pk=owner.pk)  # two at once are counted one after the other
        if Endpoint.objects.filter(owner=owner).count() >= MOST:
            raise Invalid("url", f"There are {MOST} endpoints already, which is the limit. Delete one first.")
        endpoint = Endpoint.objects.create(owner=owner, url=url, events=sorted(set(events)), description=description)
        _listen(endpoint)
    return endpoint


def change(endpoint: Endpoint, *, url: str, events: Sequence[str], description: str) -> None:
    """Give it another address, other events or another description. Raises Invalid."""
    _check(endpoint.owner, url=url, events=events)
    with transaction.atomic():
        _write(endpoint, url=url, events=sorted(set(events)), description=description)
        _listen(endpoint)


def rotate(endpoint: Endpoint) -> None:
    """A new secret. For a day calls are signed with the old one too, so that the other side can follow."""
    until = timezone.now() + OLD_SECRET_HOLDS
    _write(endpoint, secret=new_secret(), old_secret=endpoint.secret, old_secret_until=until)


def switch(endpoint: Endpoint, *, on: bool, by: str) -> None:
    """Somebody enables or disables it. by: who that is, as words for its page."""
    if on:
        enable(endpoint)
    else:
        disable(endpoint, why=f"Disabled by {by}.")


def disable(endpoint: Endpoint, *, why: str, tell: bool = False) -> None:
    """Call it no more; what is queued for it is dropped. tell: its owner gets a letter."""
    with transaction.atomic():
        if not _write(endpoint, only={"disabled_at": None}, disabled_at=timezone.now(), disabled_why=why):
            return
        Call.objects.filter(endpoint=endpoint, state=Call.State.QUEUED).update(state=Call.State.DROPPED)
        if tell:
            publish(EndpointDisabled(endpoint_id=endpoint.pk), about=endpoint)
        transaction.on_commit(interest.forget)


def enable(endpoint: Endpoint) -> None:
    """Call it again, from now on; what was dropped meanwhile can be sent again by hand."""
    with transaction.atomic():
        fresh = {"disabled_at": None, "disabled_why": "", "failures": 0, "failing_since": None, "resting_until": None}
        if _write(endpoint, only={"disabled_at__isnull": False}, **fresh):
            _listen(endpoint)


def remove(endpoint: Endpoint) -> None:
    """Forget it, with its calls."""
    with transaction.atomic():
        endpoint.delete()
        transaction.on_commit(interest.forget)


def send_test(endpoint: Endpoint) -> Call:
    """Call it once with `webhook.tested`, which no other endpoint hears of."""
    with transaction.atomic():
        record = publish(WebhookTested(endpoint_id=endpoint.pk), about=endpoint)
        return queue_call(endpoint, record)


def _listen(endpoint: Endpoint) -> None:
    """Other processes hear of it within seconds; `EndpointListens` makes up for what they publish until then."""
    Endpoint.objects.filter(pk=endpoint.pk).update(listening_since=timezone.now())
    publish(EndpointListens(endpoint_id=endpoint.pk), about=endpoint)
    transaction.on_commit(interest.forget)


def _write(endpoint: Endpoint, *, only: Mapping[str, Any] | None = None, **changes: Any) -> bool:
    """To the row and to `endpoint`; False when the row is gone or not as `only` says."""
    if not Endpoint.objects.filter(pk=endpoint.pk, **(only or {})).update(**changes):
        return False
    for name, value in changes.items():
        setattr(endpoint, name, value)
    return True


def _check(owner: Any, *, url: str, events: Sequence[str]) -> None:
    try:
        guard.parsed(url)
    except guard.Refused as why:
        raise Invalid("url", f"This address {why}.") from why
    if not events:
        raise Invalid("events", "Choose at least one event.")
    if unknown := sorted(set(events) - public_events(staff=owner.is_staff).keys()):
        raise Invalid("events", f"There is no event {', '.join(unknown)[:200]} to listen to.")
