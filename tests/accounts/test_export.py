"""A copy of everything: for its owner, for some days, without what opens something."""

import json
import re
import zipfile
from io import BytesIO

import pytest
from django.core import mail
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from accounts import personal_data
from accounts.models import ApiKey, User
from notifications.models import (
    AuditEntry,
    Endpoint,
    Export,
)
from notifications.personal_data import exports
from notifications.personal_data.registry import holdings
from tests.accounts.canary import (
    ADDRESS,
    EMAIL,
    canary,
    places,
    reauthenticated,
    shelf,
    used_up,
    visitor,
)

__all__ = ["canary", "places", "shelf", "visitor"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_copy_holds_a_file_for_each_subject_and_no_secret(canary, visitor, monkeypatch, deliver_due, pass_time):
    used_up(canary, visitor, monkeypatch, deliver_due, pass_time)

    made = Export.objects.get()
    content = b"".join(reauthenticated(visitor).get(f"/accounts/export/{made.uid}/").streaming_content)

    with zipfile.ZipFile(BytesIO(content)) as archive:
        said = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    assert sorted(said) == sorted(f"{name}.json" for name in holdings)
    assert said["account.json"][0]["email"] == EMAIL
    assert [row["shipping_address"] for row in said["orders.json"]] == [ADDRESS] * 3
    assert said["webhooks.json"][0]["description"] == "canaryhook"
    secrets = [Endpoint.objects.get().secret, *ApiKey.objects.values_list("digest", flat=True), canary.password]
    assert [secret for secret in secrets if secret in json.dumps(said)] == []
    assert (made.done, made.total, made.bytes) == (len(holdings), len(holdings), len(content))


def test_a_letter_says_that_the_copy_is_there(canary, visitor, deliver_due):
    visitor.post("/accounts/export/")
    deliver_due()

    assert mail.outbox[-1].subject == "Your copy is ready"
    assert re.search(r"/accounts/export/\s", mail.outbox[-1].body)


def test_a_copy_is_fetched_by_its_owner_only_and_only_after_the_password(canary, visitor, deliver_due):
    visitor.post("/accounts/export/")
    deliver_due()
    page = f"/accounts/export/{Export.objects.get().uid}/"
    other = Client()
    other.force_login(User.objects.create_user("b@example.com", "x"))

    assert other.get(page).status_code == 404
    assert Client().get(page)["Location"].startswith("/accounts/login/")
    assert visitor.get(page)["Location"].startswith("/accounts/reauthenticate/")
    assert reauthenticated(visitor).get(page)["Content-Type"] == "application/zip"
    assert AuditEntry.objects.filter(action="export.fetched", actor=f"user:{canary.pk}").count() == 1


def test_there_is_one_copy_at_a_time(canary, visitor):
    visitor.post("/accounts/export/")

    with pytest.raises(exports.OneIsThere):
        exports.ask(user_id=canary.pk)


def test_a_copy_whose_time_is_over_is_gone_and_another_can_be_made(canary, visitor, deliver_due):
    visitor.post("/accounts/export/")
    deliver_due()
    old = Export.objects.get()
    Export.objects.update(expires_at=timezone.now())

    assert reauthenticated(visitor).get(f"/accounts/export/{old.uid}/").status_code == 404
    assert exports.prune() == 1
    assert not default_storage.exists(old.path)
    assert exports.ask(user_id=canary.pk).state == "running"


def test_a_copy_that_was_being_made_when_the_account_was_closed_is_not_kept(canary, visitor, deliver_due):
    export = exports.ask(user_id=canary.pk)
    Export.objects.filter(pk=export.pk).update(state="gone")

    exports.gather(export, personal_data.person_of(canary))

    assert not default_storage.exists(export.path)
