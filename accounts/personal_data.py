"""What accounts keep of a person: who they are, how they log in, their keys, and where they are logged in.

Whatever refers to a user from an app of accounts goes with them, without a word here.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Model, QuerySet
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from accounts import profile
from accounts.models import ApiKey, CodeRequest, Profile, ResetRequest, User
from notifications import erased
from notifications.mail.letters import queue_letter
from notifications.personal_data import exports
from notifications.personal_data.events import ExportAsked, ExportReady
from notifications.personal_data.models import Export
from notifications.personal_data.registry import Person, Row, register
from notifications.pipeline.events import subject_of, subscribe

OURS: Final = frozenset({"accounts", "account", "mfa", "usersessions"})
# What opens something stays out of a file that people keep in their downloads.
SECRET: Final = frozenset({"password", "digest", "data", "key", "session_key", "token", "user"})
ME: Final = ("email", "name", "date_joined", "last_login", "is_staff")


def addresses_of(user: User) -> list[str]:
    """The e-mail addresses that a person has shown to be theirs; of others they may only have said so."""
    shown = EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)
    return sorted({user.email.lower(), *(email.lower() for email in shown)})


def person_of(user: User) -> Person:
    return Person(user_id=user.pk, addresses=tuple(addresses_of(user)), until=timezone.now())


def _belongings(user_id: int) -> Iterator[QuerySet[Model]]:
    for relation in User._meta.related_objects:
        model: Any = relation.related_model
        if model._meta.app_label in OURS and not relation.many_to_many:
            yield model._base_manager.filter(**{relation.field.name: user_id})


def tell(person: Person) -> Iterator[Row]:
    yield {"about": "account", **User.objects.values(*ME).get(pk=person.user_id)}
    for rows in _belongings(person.user_id):
        names = [field.attname for field in rows.model._meta.concrete_fields if field.name not in SECRET]
        kind = rows.model._meta.verbose_name
        yield from ({"about": str(kind), **row} for row in rows.order_by("pk").values(*names))


def references(person: Person) -> Iterable[str]:
    yield f"user:{person.user_id}"
    for rows in _belongings(person.user_id):
        yield from (subject_of(row) for row in rows)
    keys = ApiKey.objects.filter(user=person.user_id).values_list("pk", flat=True)
    yield from (f"key:{pk}" for pk in keys)  # as actors are called


def erase(person: Person) -> None:
    nobody = {"email": erased.address(f"user:{person.user_id}"), "name": "", "password": make_password(None)}
    with transaction.atomic():
        for rows in _belongings(person.user_id):
            rows.delete()
        for asked in (ResetRequest, CodeRequest):
            asked._base_manager.alias(small=Lower("email")).filter(small__in=person.addresses).delete()
        user = User.objects.filter(pk=person.user_id)
        user.update(**nobody, is_active=False, is_staff=False, is_superuser=False, last_login=None)
    _end_sessions(person)


def _end_sessions(person: Person) -> None:
    """Also those of before logging in: sign-up and login keep the address there for a while."""
    for session in Session.objects.iterator(chunk_size=500):
        held = session.get_decoded()
        words = str(held).lower()
        if held.get(SESSION_KEY) == str(person.user_id) or any(address in words for address in person.addresses):
            session.delete()


register("account", rows=tell, erase=erase, references=references)


# -- a copy of everything ---------------------------------------------------------------------


@subscribe(ExportAsked, atomic=False, limit=timedelta(minutes=30))
def gather_export(event: ExportAsked) -> None:
    export = Export.objects.select_related("user").get(pk=event.export_id)
    if isinstance(export.user, User):
        exports.gather(export, person_of(export.user))


@subscribe(ExportReady, queue="mail")
def email_export_ready(event: ExportReady) -> None:
    export = Export.objects.select_related("user").get(pk=event.export_id)
    to, page = export.user.email, settings.SITE_URL + reverse("export")
    context = {"export": export, "page": page, "name": _name(export)}
    with profile.as_read_by(export.user):
        queue_letter(once=f"export:{export.pk}", template="accounts/export_ready", to=to, context=context, about=export)


def _name(export: Export) -> str:
    found = Profile.objects.filter(user_id=export.user_id).first()
    return found.display_name if found else ""
