"""Forgetting a person: at once what they can do, and then, part by part, what we know of them.

Each part is an event of its own, with its own retries: a store that is away keeps no letter from being erased. When
the last is done, what was on its way meanwhile (a letter being written, an answer being stored) has a quarter of an
hour to arrive; then all parts are erased once more, and the addresses they were looked for by are forgotten too.
"""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from notifications.audit import log as audit
from notifications.audit import seals
from notifications.personal_data.events import PartsErased, PartToErase
from notifications.personal_data.models import Erasure
from notifications.personal_data.registry import Person, holdings, with_references
from notifications.pipeline.events import publish, publish_all

State = Erasure.State


def begin(*, user_id: int, addresses: Sequence[str]) -> Erasure:
    """Erase all that is theirs, from now on. addresses: those that they have shown to be theirs.

    Inside the transaction that closes the account. IntegrityError when it was closed before.
    """
    asked_at = timezone.now()
    mine = tuple(sorted({address.lower() for address in addresses}))
    person = with_references(Person(user_id=user_id, addresses=mine, until=asked_at))
    erasure = Erasure.objects.create(
        user_id=user_id,
        addresses=list(person.addresses),
        references=list(person.references),
        parts=list(holdings),
        asked_at=asked_at,
    )
    publish_all(*(PartToErase(erasure_id=erasure.pk, part=part) for part in holdings), about=erasure)
    audit.record("person.erasure_asked", about=f"user:{user_id}", after={"parts": list(holdings)})
    return erasure


def erase_part(*, erasure_id: int, part: str) -> None:
    """One part. Raises what its app raises; RetryLater while something has to stay for now."""
    erasure = Erasure.objects.get(pk=erasure_id)
    if erasure.state != State.RUNNING:
        return
    holding = holdings.get(part)
    if holding is not None:  # else an app that is no longer installed, and its tables with it
        holding.erase(_person(erasure))
    _note(erasure_id, part)


def erase_again(*, erasure_id: int) -> None:
    """What came after the first time; then nothing is left to look by. Raises as `erase_part` does."""
    erasure = Erasure.objects.get(pk=erasure_id)
    if erasure.state != State.CHECKING:
        return
    person = _person(erasure)
    for holding in holdings.values():
        holding.erase(person)
    _finish(erasure, person)


def _person(erasure: Erasure) -> Person:
    return with_references(
        Person(
            user_id=erasure.user_id,
            addresses=tuple(erasure.addresses),
            until=erasure.asked_at,
            references=tuple(erasure.references),
        )
    )


def _note(erasure_id: int, part: str) -> None:
    with transaction.atomic(durable=True):
        erasure = Erasure.objects.select_for_update().get(pk=erasure_id)
        erasure.erased = sorted({*erasure.erased, part})
        is_last = erasure.state == State.RUNNING and set(erasure.parts) <= set(erasure.erased)
        if is_last:
            erasure.state = State.CHECKING
            publish(PartsErased(erasure_id=erasure.pk), about=erasure)
        erasure.save(update_fields=["erased", "state"])


def _finish(erasure: Erasure, person: Person) -> None:
    ended: dict[str, Any] = {"state": State.DONE, "addresses": [], "finished_at": timezone.now()}
    with transaction.atomic(durable=True):
        mine = Erasure.objects.filter(pk=erasure.pk, state=State.CHECKING)
        if not mine.update(references=list(person.references), **ended):
            return
        references = [f"user:{erasure.user_id}", *person.references]
        audit.record(seals.ERASED, about=f"user:{erasure.user_id}", after={"references": sorted(set(references))})
        audit.forget_origins(references)
