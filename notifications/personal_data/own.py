"""What this app keeps of a person: letters, the newsletter, webhook endpoints, copies of everything."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from notifications import erased
from notifications.campaigns.models import Subscriber, new_token
from notifications.mail import mailbox
from notifications.mail.models import Letter
from notifications.personal_data import exports
from notifications.personal_data.models import Export
from notifications.personal_data.registry import Person, Row, register
from notifications.pipeline.events import subject_of
from notifications.webhooks import interest
from notifications.webhooks.models import Endpoint

# -- letters ----------------------------------------------------------------------------------


def _letters_to(person: Person) -> QuerySet[Letter]:
    """Until the moment that counts: an address may have another owner since."""
    return Letter.objects.annotate(lower=Lower("to")).filter(lower__in=person.addresses, queued_at__lte=person.until)


def tell_letters(person: Person) -> Iterator[Row]:
    names = ("to", "subject", "text", "state", "queued_at", "sent_at")
    yield from _letters_to(person).order_by("pk").values(*names).iterator()


def erase_letters(person: Person) -> None:
    """What was written to them, and about what is theirs, to whomever; and what names their address in its text."""
    me = erased.address(f"user:{person.user_id}")
    mine = Q(subject_ref__in=[f"user:{person.user_id}", *person.references]) | Q(to=me)
    mine |= Q(pk__in=_letters_to(person).values("pk")) | Q(recipient__subscriber__in=_numbers(person, "subscriber"))
    for address in person.addresses:
        mine |= Q(queued_at__lte=person.until) & (Q(text__icontains=address) | Q(html__icontains=address))
    letters = Letter.objects.filter(pk__in=list(Letter.objects.filter(mine).values_list("pk", flat=True)))
    _empty_mailbox(person, set(letters.values_list("message_id", flat=True)))
    nothing: dict[str, Any] = {"subject": "", "text": "", "html": "", "headers": {}, "to": me}
    with transaction.atomic():
        letters.filter(state=Letter.State.QUEUED).update(state=Letter.State.WITHDRAWN)
        letters.exclude(to=me, text="").update(**nothing)


def _numbers(person: Person, kind: str) -> list[int]:
    return [int(found.partition(":")[2]) for found in person.references if found.startswith(f"{kind}:")]


def _empty_mailbox(person: Person, message_ids: set[str]) -> None:
    """A local shop plays the buyer's mailbox too. Real ones are not ours to empty."""
    folder = Path(settings.WAYBILL_DATA) / "mailbox"
    if folder.is_dir():
        mailbox.forget(folder, message_ids=message_ids, addresses=set(person.addresses), until=person.until)


# -- the newsletter ---------------------------------------------------------------------------


def _subscriptions(person: Person) -> QuerySet[Subscriber]:
    return Subscriber.objects.filter(email__in=person.addresses, asked_at__lte=person.until)


def tell_newsletter(person: Person) -> Iterable[Row]:
    return _subscriptions(person).values("email", "name", "state", "asked_at", "confirmed_at", "ended_at")


def newsletter_references(person: Person) -> Iterable[str]:
    return (subject_of(found) for found in _subscriptions(person))


def erase_newsletter(person: Person) -> None:
    """The row stays, for the campaigns' numbers. It belongs to nobody."""
    for found in _subscriptions(person):
        left = {"state": Subscriber.State.LEFT, "ended_at": timezone.now(), "token": new_token()}
        nobody = {"email": erased.address(subject_of(found)), "name": ""}
        Subscriber.objects.filter(pk=found.pk).update(**nobody, **left)


# -- webhooks ---------------------------------------------------------------------------------


def tell_webhooks(person: Person) -> Iterable[Row]:
    """Without their secrets: who reads the copy could sign as we do."""
    mine = Endpoint.objects.filter(owner_id=person.user_id).order_by("pk")
    return mine.values("uid", "url", "description", "events", "created_at", "disabled_at", "disabled_why")


def webhook_references(person: Person) -> Iterable[str]:
    return (subject_of(found) for found in Endpoint.objects.filter(owner_id=person.user_id))


def erase_webhooks(person: Person) -> None:
    Endpoint.objects.filter(owner_id=person.user_id).delete()  # with what they answered
    interest.forget()


# -- copies -----------------------------------------------------------------------------------


def tell_exports(person: Person) -> Iterable[Row]:
    return Export.objects.of(person.user_id).order_by("pk").values("uid", "state", "asked_at", "ready_at")


def export_references(person: Person) -> Iterable[str]:
    return (subject_of(found) for found in Export.objects.of(person.user_id))


def erase_exports(person: Person) -> None:
    exports.forget(Export.objects.of(person.user_id))


register("letters", rows=tell_letters, erase=erase_letters)
register("newsletter", rows=tell_newsletter, erase=erase_newsletter, references=newsletter_references)
register("webhooks", rows=tell_webhooks, erase=erase_webhooks, references=webhook_references)
register("exports", rows=tell_exports, erase=erase_exports, references=export_references)
