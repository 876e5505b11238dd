"""What others do with somebody's files is in the audit log; what people do with their own is not."""

import pytest
from django.test import Client
from model_bakery import baker

from notifications.models import AuditEntry
from tests.api.programs import Program
from tests.uploads.conftest import picture
from uploads.models import Upload


@pytest.fixture
def sam(transactional_db):
    return baker.make("accounts.User", email="sam@example.org", is_staff=True, is_superuser=True)


@pytest.fixture
def failed(accept):
    upload = accept(picture(), "cat.jpg")
    Upload.objects.update(status="failed", reason="ours", finished_at=upload.created_at)
    return upload


def browser_of(user):
    client = Client()
    client.force_login(user)
    return client


def told():
    rows = AuditEntry.objects.filter(action__startswith="upload.").order_by("pk")
    return list(rows.values_list("action", "actor", "about", "before"))


def test_staff_who_look_at_an_upload_and_try_it_again_are_written_down(sam, ada, failed):
    office, about = browser_of(sam), f"upload:{failed.pk}"

    office.get(f"/admin/uploads/upload/{failed.pk}/change/")
    office.post(f"/admin/uploads/upload/{failed.pk}/retry/")

    assert told() == [
        ("upload.viewed", f"user:{sam.pk}", about, None),
        ("upload.retry", f"user:{sam.pk}", about, {"of": ada.pk, "status": "failed"}),
    ]


def test_a_key_of_staff_that_deletes_an_upload_is_written_down(sam, ada, failed):
    program = Program(sam, ["uploads:write"])

    assert program.client.delete(f"/api/v1/uploads/{failed.uid}/").status_code == 204

    [(action, actor, about, before)] = told()
    assert (action, actor[:4], about) == ("upload.delete", "key:", f"upload:{failed.pk}")
    assert before == {"of": ada.pk, "status": "failed"}


def test_what_its_owner_does_is_their_business(ada, failed):
    mine = browser_of(ada)

    mine.post(f"/uploads/{failed.uid}/press/", {"do": "retry"})
    mine.post(f"/uploads/{failed.uid}/press/", {"do": "delete"})

    assert (told(), Upload.objects.count()) == ([], 0)
