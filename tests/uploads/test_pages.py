"""/uploads/ and the media: what a browser sends and gets, with scripts and without."""

import errno
import re
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.api.programs import Program
from tests.uploads.conftest import BOTH_STORES, film, picture
from uploads import addresses, intake, limits, receiving, storage
from uploads.models import Upload

XHR = {"X-Requested-With": "XMLHttpRequest"}


@pytest.fixture
def visitor(ada):
    client = Client()
    client.force_login(ada)
    return client


def sent(client, *files, **headers):
    return client.post("/uploads/", {"file": [SimpleUploadedFile(n, c) for n, c in files]}, headers=headers)


def the_one():
    return Upload.objects.get()


# -- Handing in -------------------------------------------------------------------------------


def test_a_form_without_scripts_takes_several_files(visitor):
    answer = sent(visitor, ("a.png", picture("PNG")), ("b.png", picture("PNG", colour=(1, 2, 3))))

    assert (answer.status_code, answer["Location"]) == (302, "/uploads/")
    assert list(Upload.objects.order_by("pk").values_list("name", "status")) == [
        ("a.png", "received"),
        ("b.png", "received"),
    ]


def test_one_bad_file_stops_none_of_the_others(visitor):
    answer = sent(visitor, ("a.png", picture("PNG")), ("b.png", b"nothing of the kind"), ("c.gif", picture("GIF")))

    assert answer.status_code == 422
    assert b"This is not a picture or video we can take." in answer.content
    assert list(Upload.objects.order_by("pk").values_list("name", flat=True)) == ["a.png", "c.gif"]


def test_a_script_is_answered_with_the_new_row(visitor):
    answer = sent(visitor, ("a.png", picture("PNG")), **XHR)

    assert answer.status_code == 200
    assert f'id="upload-{the_one().uid}"'.encode() in answer.content
    assert b"<html" not in answer.content


def test_no_file_at_all_is_asked_for(visitor):
    answer = visitor.post("/uploads/", {"file": ""})

    assert answer.status_code == 422
    assert b"Choose a file first." in answer.content


def test_a_form_of_another_site_is_refused(ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)

    answer = sent(client, ("a.png", picture("PNG")))

    assert (answer.status_code, Upload.objects.count()) == (403, 0)


def test_what_is_too_long_is_refused_before_it_is_read(visitor):
    class Unread:
        def read(self, *_):
            raise AssertionError("somebody read it")

        readline = read

    answer = visitor.generic("POST", "/uploads/", CONTENT_LENGTH="600000000", **{"wsgi.input": Unread()})

    assert answer.status_code == 413
    assert b"500 MB is the limit" in answer.content


def test_a_picture_is_refused_at_its_limit_and_nothing_of_it_stays(visitor, monkeypatch, settings):
    monkeypatch.setitem(limits.LARGEST, "image", 1_000)

    answer = sent(visitor, ("a.png", picture("PNG") + b"\0" * 200_000))

    assert answer.status_code == 413
    assert b"The file is too large: a picture may have 1 kB." in answer.content
    assert [path for path in settings.UPLOADS_WORK.rglob("*") if path.is_file()] == []


def test_a_full_disk_is_told_and_keeps_nothing_half(visitor, ada, monkeypatch, settings, own_store):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for place in (receiving.Reception, "write"), (storage, "_write"):
        with monkeypatch.context() as patch:
            patch.setattr(*place, full)
            page = sent(visitor, ("a.png", picture("PNG")))
            program = Program(ada, ["uploads:write"]).client
            file = SimpleUploadedFile("a.png", picture("PNG"))
            answer = program.post("/api/v1/uploads/", {"file": file}, format="multipart")

        assert (page.status_code, b"There is no room on our disk just now." in page.content) == (503, True)
        assert (answer.status_code, answer["Retry-After"]) == (503, "600")
        left = [path for path in settings.UPLOADS_WORK.rglob("*") if path.is_file()]
        assert (left, own_store(), Upload.objects.count()) == ([], [], 0)


def test_a_name_is_shown_without_its_folders_and_tricks(visitor):
    sent(visitor, ("../../etc/\u202egpj.cat.png", picture("PNG")))

    assert the_one().name == "gpj.cat.png"


def test_visitors_are_asked_to_sign_in(db):
    answer = Client().get("/uploads/")

    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/uploads/")


# -- The list ---------------------------------------------------------------------------------


def test_nobody_sees_the_uploads_of_others(visitor, accept, django_user_model):
    theirs = accept(picture(), "theirs.jpg", owner=django_user_model.objects.create(email="b@example.org"))

    assert b"theirs.jpg" not in visitor.get("/uploads/").content
    assert visitor.get(f"/uploads/{theirs.uid}/row/").status_code == 404
    assert visitor.post(f"/uploads/{theirs.uid}/press/", {"do": "delete"}).status_code == 404
    assert Upload.objects.count() == 1


def test_a_row_is_asked_for_until_it_stands(visitor, accept, deliver_due):
    upload = accept(picture(), "cat.jpg")
    page = visitor.get("/uploads/").content.decode()
    [polled] = re.findall(r'hx-get="([^"]+)"', page)
    assert visitor.get(polled).status_code == 204

    deliver_due()
    answer = visitor.get(polled)

    assert answer.status_code == 286
    assert b"hx-get" not in answer.content
    assert f"/{upload.renditions.get(name='thumb', format='webp').path}".encode() in answer.content
    assert b"hx-get" not in visitor.get("/uploads/").content


def test_without_scripts_the_page_loads_itself_anew_while_something_moves(visitor, accept, deliver_due):
    accept(picture(), "cat.jpg")
    assert b'http-equiv="refresh"' in visitor.get("/uploads/").content

    deliver_due()

    assert b'http-equiv="refresh"' not in visitor.get("/uploads/").content


def test_a_rejected_file_says_why_and_cannot_be_tried_again(visitor, accept, deliver_due):
    accept(picture("PNG")[:200], "half.png")
    deliver_due()

    page = visitor.get("/uploads/").content.decode()

    assert "We could not read this file: it is damaged, or not what it says it is." in page
    assert re.search(r"<button[^>]* disabled>Try again", page)


def test_a_failed_file_is_tried_again_at_the_press_of_a_button(visitor, accept, deliver_due):
    upload = accept(picture(), "cat.jpg")
    Upload.objects.update(status="failed", reason="Ours.", finished_at=upload.created_at)

    visitor.post(f"/uploads/{upload.uid}/press/", {"do": "retry"})
    deliver_due()

    assert the_one().status == "ready"


@BOTH_STORES
def test_a_press_deletes_everything(visitor, accept, deliver_due, own_store):
    upload = accept(picture(), "cat.jpg")
    deliver_due()

    visitor.post(f"/uploads/{upload.uid}/press/", {"do": "delete"})
    deliver_due()

    assert Upload.objects.count() == 0
    assert own_store() == []


def test_a_page_of_uploads_costs_the_same_few_queries(visitor, accept, deliver_due, django_assert_num_queries):
    for shade in range(4):
        accept(picture("PNG", size=(10, 10), colour=(shade, 0, 0)), "a.png")
    deliver_due()

    with django_assert_num_queries(5):
        visitor.get("/uploads/")


# -- Media ------------------------------------------------------------------------------------


@pytest.fixture
def clip(accept, deliver_due, tmp_path):
    """The film that was made of a film, and its bytes."""
    upload = accept(film(tmp_path), 'Käse "7".mp4')
    deliver_due()
    made = upload.renditions.get(name="480p")
    return made, b"".join(Client().get(addresses.address(made)).streaming_content)


def body(answer):
    return b"".join(answer.streaming_content)


@BOTH_STORES
def test_media_come_with_headers_that_make_them_harmless(clip, client):
    made, content = clip
    answer = client.get(addresses.address(made))

    assert (answer.status_code, len(content)) == (200, made.bytes)
    assert {name: answer[name] for name in ("Content-Type", "X-Content-Type-Options", "Content-Security-Policy")} == {
        "Content-Type": "video/mp4",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    assert answer["Content-Disposition"] == "inline; filename*=utf-8''K%C3%A4se%20%227%22-480p.mp4"
    assert re.fullmatch(r"private, max-age=\d{4}, immutable", answer["Cache-Control"])


@BOTH_STORES
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=100-", 100, -1), ("bytes=-50", -50, -1), ("bytes=7-99999999", 7, -1)],
)
def test_a_player_may_ask_for_a_part(clip, client, asked, first, last):
    made, content = clip
    first, last = first % made.bytes, last % made.bytes

    answer = client.get(addresses.address(made), headers={"Range": asked})

    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes {first}-{last}/{made.bytes}"
    assert answer["Content-Length"] == str(last - first + 1)
    assert body(answer) == content[first : last + 1]


@BOTH_STORES
@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=9-3", "bytes=-0"])
def test_a_part_that_is_not_there_is_416(clip, client, asked):
    made, _ = clip
    answer = client.get(addresses.address(made), headers={"Range": asked})

    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{made.bytes}")


@BOTH_STORES
@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=-", "lines=1-2", "bytes=a-b"])
def test_what_we_do_not_understand_gets_the_whole(clip, client, asked):
    made, content = clip

    assert body(client.get(addresses.address(made), headers={"Range": asked})) == content


@BOTH_STORES
def test_a_part_of_another_file_gets_the_whole(clip, client):
    made, content = clip
    answer = client.get(addresses.address(made), headers={"Range": "bytes=0-1", "If-Range": '"another"'})

    assert body(answer) == content


@BOTH_STORES
def test_a_head_has_no_body_and_a_known_tag_none_either(clip, client):
    made, _ = clip
    head = client.head(addresses.address(made))
    known = client.get(addresses.address(made), headers={"If-None-Match": head["ETag"]})

    assert (body(head), head["Content-Length"], known.status_code) == (b"", str(made.bytes), 304)


def test_an_address_ends(clip, client, time_machine):
    made, _ = clip
    address = addresses.address(made)

    time_machine.move_to(time.time() + addresses.GOOD_FOR * 2)

    assert client.get(address).status_code == 404


def test_no_part_of_an_address_can_be_changed(clip, client):
    made, _ = clip
    _, _, until, signature, path = addresses.address(made).split("/", 4)
    other = f"renditions/{made.upload.uid}/{'0' * 32}.mp4"

    tried = [(str(int(until) + 1), signature, path), (until, "A" * 43, path), (until, signature, other)]

    assert [client.get("/media/" + "/".join(parts)).status_code for parts in tried] == [404, 404, 404]


def test_an_original_has_no_address_even_with_a_good_signature(clip, client):
    made, _ = clip
    until = addresses.address(made).split("/")[2]
    signature = addresses._signature(made.upload.original, int(until))

    assert client.get(f"/media/{until}/{signature}/{made.upload.original}").status_code == 404


@BOTH_STORES
def test_what_was_deleted_has_no_address_any_more(clip, client):
    made, _ = clip
    address = addresses.address(made)

    intake.delete(upload=made.upload)

    assert client.get(address).status_code == 404
