"""Uploads for programs, as the contract has them."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from model_bakery import baker

from notifications.webhooks.subjects import told
from tests.api.programs import Program, sent, staff
from tests.uploads.conftest import BOTH_STORES, film, picture
from uploads import limits, quota
from uploads.models import Upload

pytestmark = BOTH_STORES
COPY = {"name", "format", "width", "height", "bytes", "url"}


@pytest.fixture
def program(ada):
    return Program(ada, ["uploads:write"])


def handed_in(program, content, name="cat.jpg", **fields):
    file = SimpleUploadedFile(name, content)
    return program.client.post("/api/v1/uploads/", {"file": file, **fields}, format="multipart")


def test_a_file_is_answered_at_once_and_asked_for_later(program, deliver_due):
    answer = handed_in(program, picture())

    body = sent(answer)
    there = f"/api/v1/uploads/{body['id']}/"
    assert (answer.status_code, answer["Location"], answer["Retry-After"]) == (202, there, "1")
    assert (body["kind"], body["status"], body["progress"], body["reason"]) == ("image", "received", 0, "")
    assert body["renditions"] == []

    deliver_due()
    body = sent(program.get(f"uploads/{body['id']}/"))

    assert (body["status"], body["progress"], len(body["renditions"])) == ("ready", 100, 12)
    assert all(set(copy) == COPY for copy in body["renditions"])


def test_the_address_of_a_copy_is_whole_and_works(program, deliver_due, client, settings):
    uid = sent(handed_in(program, picture()))["id"]
    deliver_due()
    copy = sent(program.get(f"uploads/{uid}/"))["renditions"][0]

    assert copy["url"].startswith(f"{settings.SITE_URL}/media/")
    answer = client.get(copy["url"].removeprefix(settings.SITE_URL))

    assert (answer.status_code, len(b"".join(answer.streaming_content))) == (200, copy["bytes"])


def test_a_video_says_its_kind(program, tmp_path):
    assert sent(handed_in(program, film(tmp_path), "dog.mp4"))["kind"] == "video"


def test_the_same_file_again_is_the_same_upload(program):
    first, again = handed_in(program, picture()), handed_in(program, picture(), "dog.jpg")

    assert (sent(again)["id"], again.status_code) == (sent(first)["id"], 202)


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        (b"hello", "a.jpg", "This is not a picture or video we can take."),
        (picture(), "a.png", "The file is named .png, but what is inside is JPEG."),
    ],
)
def test_what_we_do_not_take_is_415(program, content, name, why):
    answer = handed_in(program, content, name)

    assert (answer.status_code, sent(answer)["detail"][: len(why)]) == (415, why)


def test_too_large_is_413_and_names_the_limit(program, monkeypatch):
    monkeypatch.setitem(limits.LARGEST, "image", 2_000)

    answer = handed_in(program, picture())

    assert (answer.status_code, sent(answer)["detail"]) == (413, "The file is too large: a picture may have 2 kB.")


def test_a_body_that_says_it_is_too_long_is_413_unread(program):
    class Unread:
        def read(self, *_):
            raise AssertionError("somebody read it")

        readline = read

    kind = "multipart/form-data; boundary=x"
    answer = program.client.generic(
        "POST", "/api/v1/uploads/", CONTENT_TYPE=kind, CONTENT_LENGTH="600000000", **{"wsgi.input": Unread()}
    )

    assert (answer.status_code, sent(answer)["detail"]) == (413, "The request is too large: 500 MB is the limit.")


def test_no_file_and_two_files_are_refused_by_name(program):
    none = program.client.post("/api/v1/uploads/", {"other": "x"}, format="multipart")
    files = [SimpleUploadedFile("a.jpg", picture()), SimpleUploadedFile("b.jpg", picture("PNG"))]
    two = program.client.post("/api/v1/uploads/", {"file": files}, format="multipart")

    errors = [{"field": "file", "detail": "Hand in one file as file."}]
    assert [(answer.status_code, sent(answer)["errors"]) for answer in (none, two)] == [(400, errors), (400, errors)]
    assert Upload.objects.count() == 0


def test_a_full_shelf_is_409_and_an_hour_too_many_429(program, monkeypatch):
    monkeypatch.setattr(quota, "allowance", lambda owner: limits.Allowance(10, 5, 300))
    full = handed_in(program, picture())
    monkeypatch.undo()
    monkeypatch.setattr(limits, "CUSTOMERS", limits.CUSTOMERS._replace(an_hour=1))
    handed_in(program, picture())
    often = handed_in(program, picture("PNG"), "a.png")

    assert (full.status_code, sent(full)["code"]) == (409, "over_quota")
    assert (often.status_code, often["Retry-After"]) == (429, "600")


def test_an_upload_is_deleted_with_everything(program, deliver_due, own_store):
    uid = sent(handed_in(program, picture()))["id"]
    deliver_due()

    answers = [program.client.delete(f"/api/v1/uploads/{uid}/").status_code for _ in "12"]
    deliver_due()

    assert (answers, own_store()) == ([204, 404], [])


def test_strangers_see_nothing_and_staff_everything(program, db):
    uid = sent(handed_in(program, picture()))["id"]
    stranger = Program(baker.make("accounts.User", email="b@example.org"), ["uploads:write"])

    seen = [one.get(f"uploads/{uid}/").status_code for one in (stranger, Program(staff(), ["uploads:write"]))]

    assert (seen, stranger.client.delete(f"/api/v1/uploads/{uid}/").status_code) == ([404, 200], 404)


def test_a_webhook_is_told_of_an_upload_by_its_address(program):
    uid = sent(handed_in(program, picture()))["id"]
    upload = Upload.objects.get()

    said = told(f"upload:{upload.pk}")

    assert (said.kind, said.id, said.path, said.owner_id) == (
        "upload",
        uid,
        f"/api/v1/uploads/{uid}/",
        upload.owner_id,
    )
