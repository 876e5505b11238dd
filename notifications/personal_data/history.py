"""What the pipeline remembers of a person: events about what is theirs, and the words of what failed.

Facts stay, with their ids, states and times. What goes is text: fields of events that hold somebody's words, and
messages of errors, which may quote what they failed of.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.contrib.admin.models import LogEntry
from django.db.models import Q, QuerySet

from notifications.audit.models import AuditEntry
from notifications.personal_data.registry import Person, Row, register
from notifications.pipeline.events import declared
from notifications.pipeline.models import Attempt, Brake, Delivery, Event

GONE: Final = "erased"


def tell(person: Person) -> Iterator[Row]:
    """The acts that the audit log has of them, and the events about their things."""
    me = f"user:{person.user_id}"
    acts = AuditEntry.objects.filter(Q(actor=me) | Q(about=me)).order_by("pk")
    yield from acts.values("at", "action", "about", "before", "after", "origin__address").iterator()
    events = Event.objects.filter(subject__in=[me, *person.references]).order_by("pk")
    yield from events.values("occurred_at", "name", "subject", "payload").iterator()


def references(person: Person) -> Iterable[str]:
    """Deliveries that did not go well: letters and events tell of them too."""
    failed = _deliveries(person).exclude(attempts=None).distinct()
    return (f"delivery:{pk}" for pk in failed.values_list("pk", flat=True))


def erase(person: Person) -> None:
    _erase_words(person)
    _erase_errors(person)
    _erase_admin_history(person)


def _events(person: Person) -> QuerySet[Event]:
    return Event.objects.filter(subject__in=[f"user:{person.user_id}", *person.references])


def _deliveries(person: Person) -> QuerySet[Delivery]:
    return Delivery.objects.filter(event__in=_events(person).values("pk"))


def _erase_words(person: Person) -> None:
    for kind in declared.values():
        for event in _events(person).filter(name=kind.name) if kind.personal else ():
            said = {field: GONE for field in kind.personal if event.payload.get(field)}
            Event.objects.filter(pk=event.pk).update(payload={**event.payload, **said})
    for delivery in _deliveries(person).exclude(resolution=None, corrected=None).select_related("event"):
        Delivery.objects.filter(pk=delivery.pk).update(**_without_words(delivery))


def _without_words(delivery: Delivery) -> dict[str, Any]:
    decided = [{**entry, "reason": GONE} if entry.get("reason") else entry for entry in delivery.resolution or []]
    kind, changed = declared.get(delivery.event.name), delivery.corrected
    if changed is not None and kind is not None:
        said = {field: GONE for field in kind.personal if changed["payload"].get(field)}
        changed = {**changed, "payload": {**changed["payload"], **said}}
    return {"resolution": decided or None, "corrected": changed}


def _erase_errors(person: Person) -> None:
    mine = list(_deliveries(person).values_list("pk", flat=True))
    tries = Attempt.objects.filter(Q(delivery__in=mine) | _names(person, "message") | _names(person, "traceback"))
    tries.exclude(message=GONE, traceback="").update(message=GONE, traceback="")
    failing = Delivery.objects.filter(Q(pk__in=mine) | _names(person, "last_error")).exclude(last_error__in=["", GONE])
    failing.update(last_error=GONE)
    held = Brake.objects.filter(Q(last_delivery__in=mine) | _names(person, "last_error"))
    held.exclude(last_error="").update(last_error=GONE)


def _names(person: Person, column: str) -> Q:
    """Errors of other deliveries may quote an address too."""
    found = Q(pk__in=[])
    for address in person.addresses:
        found |= Q(**{f"{column}__icontains": address})
    return found


def _erase_admin_history(person: Person) -> None:
    """Django's own history of the staff pages calls rows by their names."""
    keys: dict[str, list[str]] = defaultdict(list)
    for reference in (f"user:{person.user_id}", *person.references):
        model, _, key = reference.partition(":")
        keys[model].append(key)
    for model, ids in keys.items():
        found = LogEntry.objects.filter(content_type__model=model, object_id__in=ids)
        found.update(object_repr=GONE, change_message="")


register("history", rows=tell, erase=erase, references=references)
