"""Sealing the audit log, and finding what was changed since.

Entries are plain INSERTs that wait for nobody, so ids are not in the order of commits: a seal names the ids it
closes, and one that commits late is closed by the next seal. Only what is missing from all seals for an hour is wrong.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from notifications.audit.events import AuditSealed
from notifications.audit.log import ORIGINS_KEPT, origin_digest
from notifications.audit.models import AuditEntry, AuditOrigin, AuditSeal
from notifications.pipeline.events import publish
from notifications.pipeline.models import Event

LATE: Final = timedelta(hours=1)  # no transaction of ours is open for a minute
AT_ONCE: Final = 5_000  # entries in one seal: what the first one after a long stop finds
CHECKED_AT_ONCE: Final = 200  # seals
ERASED: Final = "person.erased"  # the entry that says of whom nothing is kept any more
Ranges = Sequence[Sequence[int]]

log = structlog.get_logger(__name__)


def seal() -> AuditSeal | None:
    """Close what is not closed yet; None when there is nothing. IntegrityError when another process did just now."""
    with transaction.atomic():
        last = AuditSeal.objects.order_by("-number").first()
        entries = list(_open()[:AT_ONCE])
        if not entries:
            return None
        ranges = _ranges(entry.pk for entry in entries)
        made = AuditSeal(
            number=last.number + 1 if last else 1,
            entries=ranges,
            up_to=max(entries[-1].pk, last.up_to if last else 0),
            at=timezone.now(),
        )
        made.digest = _digest(made, last.digest if last else "", entries)
        made.save(force_insert=True)
        publish(AuditSealed(number=made.number, digest=made.digest), dedupe_key=f"audit.sealed:{made.number}")
    # The log is a third place, and one that the database's owner may not be able to change.
    log.info("audit_sealed", number=made.number, digest=made.digest)
    return made


def _open() -> QuerySet[AuditEntry]:
    recent = AuditSeal.objects.filter(at__gt=timezone.now() - LATE).values_list("entries", flat=True)
    closed = Q()
    for first, last in _merged(recent):
        closed |= Q(pk__range=(first, last))
    entries = AuditEntry.objects.filter(pk__gt=_settled()).order_by("pk")
    return entries.exclude(closed) if closed else entries


def _settled() -> int:
    """Up to this id nothing may appear any more."""
    old = AuditSeal.objects.filter(at__lte=timezone.now() - LATE).order_by("-number").first()
    return old.up_to if old else 0


def _ranges(ids: Iterable[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for pk in ids:
        if found and found[-1][1] == pk - 1:
            found[-1][1] = pk
        else:
            found.append([pk, pk])
    return found


def _merged(seals: Iterable[Ranges]) -> list[list[int]]:
    """All ids of these seals, in as few ranges as they make."""
    found: list[list[int]] = []
    for first, last in sorted((first, last) for ranges in seals for first, last in ranges):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    return found


def _digest(made: AuditSeal, before: str, entries: Iterable[AuditEntry]) -> str:
    said = hashlib.sha256(json.dumps([before, made.number, made.at.isoformat(), made.up_to, made.entries]).encode())
    for entry in entries:
        said.update(_canonical(entry))
    return said.hexdigest()


def _canonical(entry: AuditEntry) -> bytes:
    """Every column, the same on every database: documents with sorted names, times in UTC."""
    values = [entry.pk, entry.at.isoformat(), entry.action, entry.actor, entry.about]
    values += [entry.before, entry.after, entry.correlation_id, entry.origin_digest]
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"


# -- looking for changes ------------------------------------------------------------------------


def faults() -> Iterator[str]:
    """What is not as it was sealed, one sentence each. Reads the whole log."""
    seals = list(AuditSeal.objects.order_by("number"))
    yield from _broken(seals)
    yield from _unwitnessed({one.number: one.digest for one in seals})
    yield from _never_sealed(seals)
    yield from _false_origins()


def _broken(seals: Sequence[AuditSeal]) -> Iterator[str]:
    before, number = "", 0
    for start in range(0, len(seals), CHECKED_AT_ONCE):
        some = seals[start : start + CHECKED_AT_ONCE]
        kept = _entries_of(some)
        for one in some:
            if one.number != number + 1:
                yield f"the seals {number + 1} to {one.number - 1} are gone"
                before = ""  # what came before it is not known: this one cannot fit
            yield from _why_broken(one, before, kept)
            before, number = one.digest, one.number


def _entries_of(seals: Sequence[AuditSeal]) -> dict[int, AuditEntry]:
    first = min(start for one in seals for start, _ in one.entries)
    last = max(end for one in seals for _, end in one.entries)
    return AuditEntry.objects.filter(pk__gte=first, pk__lte=last).in_bulk()


def _why_broken(one: AuditSeal, before: str, kept: dict[int, AuditEntry]) -> Iterator[str]:
    ids = [pk for first, last in one.entries for pk in range(first, last + 1)]
    gone = [pk for pk in ids if pk not in kept]
    yield from (f"entry {pk} is gone; seal {one.number} had closed it" for pk in gone)
    if not gone and _digest(one, before, (kept[pk] for pk in ids)) != one.digest:
        which = ", ".join(f"{first} to {last}" for first, last in one.entries)
        yield f"seal {one.number} does not fit: one of the entries {which}, or a seal, was changed"


def _unwitnessed(digests: dict[int, str]) -> Iterator[str]:
    told: dict[int, str] = {}
    for payload in Event.objects.filter(name=AuditSealed.name).values_list("payload", flat=True):
        told[payload["number"]] = payload["digest"]
    for number in sorted(told.keys() | digests.keys()):
        if number not in digests:
            yield f"seal {number} is gone; an event tells of it"
        elif told.get(number) != digests[number]:
            yield f"seal {number} is not the one that its event tells of"


def _never_sealed(seals: Sequence[AuditSeal]) -> Iterator[str]:
    ranges = _merged(one.entries for one in seals)
    starts = [first for first, _ in ranges]
    for pk in AuditEntry.objects.filter(pk__lte=_settled()).order_by("pk").values_list("pk", flat=True).iterator():
        at = bisect_right(starts, pk) - 1
        if at < 0 or pk > ranges[at][1]:
            yield f"entry {pk} appeared among those that were sealed long before"


def _false_origins() -> Iterator[str]:
    for origin in AuditOrigin.objects.select_related("entry").iterator():
        if origin_digest(origin.salt, origin.address) != origin.entry.origin_digest:
            yield f"entry {origin.entry_id}: the address it came from was changed"
    erased = _erased()
    recent = AuditEntry.objects.filter(at__gte=timezone.now() - ORIGINS_KEPT)
    lost = recent.filter(origin=None).exclude(origin_digest="")
    for entry in lost.iterator():
        if not {entry.actor, entry.about} & erased:
            yield f"entry {entry.pk}: the address it came from is gone, and nobody was erased"


def _erased() -> set[str]:
    """Whose addresses may be gone: the log itself says so."""
    said = AuditEntry.objects.filter(action=ERASED).values_list("after", flat=True)
    return {reference for after in said if after for reference in after.get("references", ())}
