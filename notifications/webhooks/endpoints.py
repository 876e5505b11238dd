"""What an owner does with an endpoint, and what the shop does when one has long been silent."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from notifications.audit import log as audit
from notifications.pipeline.events import DomainEvent, declared, publish
from notifications.webhooks import guard, interest, patience
from notifications.webhooks.events import EndpointDisabled, EndpointListens, WebhookTested
from notifications.webhooks.fanout import queue_call
from notifications.webhooks.models import Call, Endpoint, new_secret

MOST: Final = 10  # endpoints of one owner
OF_CUSTOMERS: Final = ("order.", "payment.")  # what can be about something of theirs
OLD_SECRET_HOLDS: Final = timedelta(hours=24)  # so long, calls are signed with both


_UNTRIED: Final = {"failures": 0, "failing_since": None, "last_failed_at": None, "resting_until": None}


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
        audit.record("endpoint.made", about=endpoint, after={"events": endpoint.events})
    return endpoint


def change(endpoint: Endpoint, *, url: str, events: Sequence[str], description: str) -> None:
    """Give it another address, other events or another description. Raises Invalid."""
    _check(endpoint.owner, url=url, events=events)
    changed = {"url": url, "events": sorted(set(events)), "description": description}
    listens_anew, was = changed["events"] != endpoint.events, {"events": endpoint.events}
    moved = {"address": "another"} if url != endpoint.url else {}
    with transaction.atomic():
        audit.record("endpoint.changed", about=endpoint, before=was, after={"events": changed["events"], **moved})
        _write(endpoint, **changed, **(_UNTRIED if url != endpoint.url else {}))
        if listens_anew:
            _listen(endpoint)


def rotate(endpoint: Endpoint) -> None:
    """A new secret. For a day calls are signed with the old one too, so that the other side can follow.

    Raises Invalid while an older one still holds: it would be dropped under somebody's feet.
    """
    now, old = timezone.now(), endpoint.secret
    settled = Q(old_secret_until=None) | Q(old_secret_until__lte=now)
    fresh = {"secret": new_secret(), "old_secret": old, "old_secret_until": now + OLD_SECRET_HOLDS}
    with transaction.atomic():
        rotated = _write(endpoint, settled & Q(secret=old), **fresh)
        if rotated:
            audit.record("endpoint.rotated", about=endpoint)
    if not rotated:
        endpoint.refresh_from_db()
        until = f"{endpoint.old_secret_until:%Y-%m-%d %H:%M} UTC" if endpoint.old_secret_until else "then"
        raise Invalid("secret", f"The secret was changed less than a day ago, and the old one holds until {until}.")


def switch(endpoint: Endpoint, *, on: bool, by_shop: bool = False) -> None:
    """Somebody enables or disables it. Raises Invalid when its owner enables what the shop has disabled."""
    if not on:
        disable(endpoint, why="Disabled by the shop." if by_shop else "Disabled by its owner.", by_shop=by_shop)
    elif endpoint.disabled_by_shop and not by_shop:
        raise Invalid("enabled", "The shop has disabled this endpoint, and can enable it again.")
    else:
        _enable(endpoint)


def disable(endpoint: Endpoint, *, why: str, by_itself: bool = False, by_shop: bool = False) -> None:
    """Call it no more; what is queued for it is dropped."""
    with transaction.atomic():
        off = {"disabled_at": timezone.now(), "disabled_why": why, "disabled_by_shop": by_shop}
        if not _write(endpoint, Q(disabled_at=None), **off):
            return
        Call.objects.filter(endpoint=endpoint, state=Call.State.QUEUED).update(state=Call.State.DROPPED)
        publish(EndpointDisabled(endpoint_id=endpoint.pk, by_itself=by_itself), about=endpoint)
        audit.decided("endpoint.disabled", about=endpoint)
        transaction.on_commit(interest.forget)


def _enable(endpoint: Endpoint) -> None:
    with transaction.atomic():
        on = {"disabled_at": None, "disabled_why": "", "disabled_by_shop": False, **_UNTRIED}
        if _write(endpoint, Q(disabled_at__isnull=False), **on):
            _listen(endpoint)
            audit.record("endpoint.enabled", about=endpoint)


def remove(endpoint: Endpoint) -> None:
    """Forget it, with its calls."""
    with transaction.atomic():
        locked = Endpoint.objects.select_for_update().filter(pk=endpoint.pk).first()
        if locked is not None:
            audit.record("endpoint.removed", about=locked)
            locked.delete()
        transaction.on_commit(interest.forget)


def send_test(endpoint: Endpoint) -> Call:
    """Call it once with `webhook.tested`, which no other endpoint hears of; a test that waits already is that call."""
    patience.try_at_once(endpoint)
    with transaction.atomic():
        Endpoint.objects.locked().filter(pk=endpoint.pk).first()
        tests = Call.objects.filter(endpoint=endpoint, event__name=WebhookTested.name, state=Call.State.QUEUED)
        waiting = tests.select_related("event").first()
        return waiting or queue_call(endpoint, publish(WebhookTested(endpoint_id=endpoint.pk), about=endpoint))


def _listen(endpoint: Endpoint) -> None:
    """Other processes hear of it within seconds; `EndpointListens` makes up for what they publish until then."""
    publish(EndpointListens(endpoint_id=endpoint.pk), about=endpoint)
    transaction.on_commit(interest.forget)


def _write(endpoint: Endpoint, only: Q | None = None, /, **changes: Any) -> bool:
    """To the row and to `endpoint`; False when the row is gone or not as `only` says."""
    if not Endpoint.objects.filter(only or Q(), pk=endpoint.pk).update(**changes):
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
