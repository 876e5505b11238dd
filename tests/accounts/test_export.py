"""A copy of everything: for its owner, for some days, without what opens something."""

import json
import random
import re
import zipfile
from io import BytesIO

import pytest
from celery.result import AsyncResult
from django.core import mail
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from django_celery_results.models import TaskResult

from accounts import personal_data
from accounts.models import ApiKey, User
from config.celery import app
from notifications.models import (
    AuditEntry,
    Endpoint,
    Export,
)
from notifications.personal_data import exports, progress
from notifications.personal_data.registry import holdings
from tests.accounts.canary import (
    ADDRESS,
    EMAIL,
    canary,
    in_a_bucket,
    places,
    reauthenticated,
    shelf,
    used_up,
    visitor,
)
from tests.uploads.conftest import picture
from uploads import intake, processing, storage
from uploads.receiving import received

__all__ = ["canary", "in_a_bucket", "places", "shelf", "visitor"]

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_copy_holds_a_file_for_each_subject_and_no_secret(canary, visitor, monkeypatch, deliver_due, pass_time):
    used_up(canary, visitor, monkeypatch, deliver_due, pass_time)

    made = Export.objects.get()
    content = b"".join(reauthenticated(visitor).get(f"/accounts/export/{made.uid}/").streaming_content)

    with zipfile.ZipFile(BytesIO(content)) as archive:
        said = {name: json.loads(archive.read(name)) for name in archive.namelist() if "/" not in name}
        entries = len(archive.namelist())
    assert sorted(said) == sorted(f"{name}.json" for name in holdings)
    assert said["account.json"][0]["email"] == EMAIL
    assert [row["shipping_address"] for row in said["orders.json"]] == [ADDRESS] * 3
    assert said["webhooks.json"][0]["description"] == "canaryhook"
    secrets = [Endpoint.objects.get().secret, *ApiKey.objects.values_list("digest", flat=True), canary.password]
    assert [secret for secret in secrets if secret in json.dumps(said)] == []
    assert (made.done, made.total, made.bytes) == (entries, entries, len(content))


def in_the_copy(visitor):
    """The archive, and how it is called."""
    made = Export.objects.get()
    content = b"".join(reauthenticated(visitor).get(f"/accounts/export/{made.uid}/").streaming_content)
    return made, zipfile.ZipFile(BytesIO(content))


def uploaded(owner, name, content):
    with storage.workplace() as folder:
        upload = intake.accept(owner=owner, file=received(name=name, chunks=[content], folder=folder))
    processing.make_renditions(upload_id=upload.pk)
    return upload


def test_the_files_of_a_copy_are_those_that_it_names(canary, visitor, deliver_due):
    shots = {"large.jpeg": picture(), "thumb.webp": picture("WEBP", colour=(1, 2, 3)), "bird.png": picture("PNG")}
    for name, content in shots.items():
        uploaded(canary, name, content)
    visitor.post("/accounts/export/")
    deliver_due()

    made, archive = in_the_copy(visitor)
    names = [name for name in archive.namelist() if "/" in name]
    told = json.loads(archive.read("uploads.json"))
    assert len(names) == len(set(names)) > len(shots)
    assert names == [name for upload in told for name in upload["files"]]
    assert {row["name"]: archive.read(row["files"][0]) for row in told} == shots
    assert {archive.read(name)[:2] for name in names} >= {b"\xff\xd8", b"RI"}
    assert made.total == len(archive.namelist())


def test_a_copy_in_a_bucket_is_whole_and_swept_when_it_is_gone(in_a_bucket, canary, visitor, deliver_due):
    film = b"\x00\x00\x00\x18ftypmp42" + random.Random(1).randbytes(9_000_000)  # does not become smaller in a ZIP
    with storage.workplace() as folder:
        upload = intake.accept(owner=canary, file=received(name="bird.mp4", chunks=[film], folder=folder))
    exports.gather(exports.ask(user_id=canary.pk), personal_data.person_of(canary))

    made, archive = in_the_copy(visitor)
    assert archive.read(f"uploads/{upload.uid}/bird.mp4") == film
    assert [key for how, key in in_a_bucket.asked if how == "POST"] == [upload.original] * 2 + [made.path] * 2
    intake.delete(upload=upload)
    exports.forget(Export.objects.all())
    deliver_due()
    assert in_a_bucket.objects == {}


def test_the_bar_moves_with_each_file_and_is_a_result_that_celery_reads(canary, visitor, deliver_due, monkeypatch):
    uploaded(canary, "bird.png", picture("PNG"))
    seen, opened = [], storage.opened

    def looked_at(path):
        page = visitor.get("/accounts/export/").content.decode()
        result = AsyncResult(str(Export.objects.get().uid), app=app)
        seen.append((re.search(r'max="(\d+)" value="(\d+)"', page).groups(), result.state, result.info))
        return opened(path)

    monkeypatch.setattr(storage, "opened", looked_at)
    visitor.post("/accounts/export/")
    deliver_due()

    bars = [(int(done), int(total)) for (total, done), *_ in seen]
    total = Export.objects.get().total
    assert len(bars) > 3
    assert bars == [(bars[0][0] + n, total) for n in range(len(bars))]
    assert {(state, info["done"], info["total"]) for _, state, info in seen} == {("PROGRESS", *bar) for bar in bars}
    result = AsyncResult(str(Export.objects.get().uid), app=app)
    assert (result.state, result.result) == ("SUCCESS", {"done": total, "total": total})


def test_a_worker_that_died_leaves_a_bar_that_begins_again_and_no_result_stays_of_a_copy_that_is_gone(
    canary, visitor, deliver_due
):
    export = exports.ask(user_id=canary.pk)
    progress.tell(export, done=7, total=9)
    assert progress.told(export) == (7, 9)

    deliver_due()
    assert progress.told(export) == (Export.objects.get().total, Export.objects.get().total)

    exports.forget(Export.objects.all())
    assert TaskResult.objects.count() == 0


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
