"""What is taken in, and what is turned away at the door."""

import threading
from dataclasses import dataclass

import pytest
from django.db import connection
from model_bakery import baker

from tests.uploads.conftest import BOTH_STORES, picture
from uploads import intake, limits, personal_data, quota
from uploads.formats import NotAccepted, recognised, shown
from uploads.limits import Allowance
from uploads.models import Upload, Usage
from uploads.receiving import Reception, TooLarge, received

JPEG = picture()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("JPEG", "a.jpg"), ("JPEG", "A.JPEG"), ("PNG", "a.png"), ("GIF", "a.gif"), ("WEBP", "a.webp"), ("AVIF", "a.avif")],
)
def test_a_picture_is_known_by_its_first_bytes(kind, name):
    assert recognised(picture(kind), name=name).kind == "image"


@pytest.mark.parametrize(
    ("head", "name", "why"),
    [
        (b"", "a.jpg", "The file is empty."),
        (b"hello", "a.jpg", "This is not a picture or video we can take. We take JPEG, PNG, WebP, GIF, AVIF, MP4,"),
        (JPEG, "a.png", "The file is named .png, but what is inside is JPEG. Name it as what it is."),
        (JPEG, "a.jpg.html", "The file is named .html, but what is inside is JPEG. Name it as what it is."),
        (JPEG, "a", "The file is without an extension in its name, but what is inside is JPEG."),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a.mp4", "This is not a picture or video we can take."),
        (b"RIFF\0\0\0\0AVI LIST", "a.mp4", "This is not a picture or video we can take."),
        (b"\0\0\0\x14ftypisom\0\0\2\0mp41", "a.jpg", "The file is named .jpg, but what is inside is MP4 or MOV."),
    ],
)
def test_what_we_do_not_take_is_told_why(head, name, why):
    with pytest.raises(NotAccepted) as told:
        recognised(head, name=name)

    assert str(told.value).startswith(why)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("cat.jpg", "cat.jpg"),
        ("../../etc/passwd.jpg", "passwd.jpg"),
        ("c:\\boot\\cat.jpg", "cat.jpg"),
        ("a\r\nSet-Cookie: b.gif", "aSet-Cookie: b.gif"),
        ("\u202egpj.cat.png", "gpj.cat.png"),
        ("\0", "unnamed"),
        ("x" * 300 + ".png", "x" * 138 + "….png"),
    ],
)
def test_a_name_is_for_reading_only(given, kept):
    assert shown(given) == kept


def test_a_file_that_comes_in_crumbs_is_known_all_the_same(tmp_path):
    crumbs = [JPEG[at : at + 7] for at in range(0, len(JPEG), 7)]

    got = received(name="a.jpg", chunks=crumbs, folder=tmp_path)

    assert (got.bytes, got.format.name, got.path.read_bytes()) == (len(JPEG), "jpeg", JPEG)


def test_what_is_too_large_is_stopped_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setitem(limits.LARGEST, "image", 100_000)
    reception = Reception(name="a.jpg", folder=tmp_path)

    with pytest.raises(TooLarge, match=r"a picture may have 100 kB\."):
        for _ in range(10):
            reception.write(JPEG[:60] * 1000)

    assert reception._size == 120_000
    reception.close()


# -- The room a person has --------------------------------------------------------------------


def test_there_is_room_for_so_many_bytes_and_no_more(accept, monkeypatch, own_store):
    monkeypatch.setattr(quota, "allowance", lambda owner: Allowance(len(JPEG), 5, 300))
    accept(JPEG, "a.jpg")

    with pytest.raises(intake.OverQuota, match="There is no room for it: you may keep"):
        accept(picture("PNG"), "b.png")

    assert (Upload.objects.count(), len(own_store())) == (1, 1)


def test_what_is_deleted_makes_room(accept, monkeypatch):
    monkeypatch.setattr(quota, "allowance", lambda owner: Allowance(10**9, 1, 300))
    intake.delete(upload=accept(JPEG, "a.jpg"))

    assert accept(picture("PNG"), "b.png").pk


def test_an_hour_has_its_limit_and_ends(accept, monkeypatch, time_machine):
    monkeypatch.setattr(limits, "CUSTOMERS", limits.CUSTOMERS._replace(an_hour=2))
    for shade in range(2):
        accept(picture("PNG", colour=(shade, 0, 0)), "a.png")

    with pytest.raises(intake.TooOften):
        accept(picture("PNG", colour=(9, 0, 0)), "a.png")

    Usage.objects.update(hour="2020-01-01T00:00:00Z")
    accept(picture("PNG", colour=(9, 0, 0)), "a.png")
    assert Usage.objects.get().in_hour == 1


def test_staff_who_fill_the_shelves_are_not_held_up_by_what_customers_may_send_in_an_hour(accept, ada, monkeypatch):
    """A bulk upload of product pictures has thousands."""
    sam = baker.make("accounts.User", email="sam@example.org", is_staff=True)
    monkeypatch.setattr(limits, "CUSTOMERS", limits.CUSTOMERS._replace(an_hour=1))
    for shade in range(2):
        accept(picture("PNG", colour=(shade, 0, 0)), "a.png", owner=sam)
    Usage.objects.update(in_hour=limits.STAFF.an_hour)

    with pytest.raises(intake.TooOften, match="10000 uploads in an hour"):
        accept(picture("PNG", colour=(9, 0, 0)), "a.png", owner=sam)


def at_once(work, count=8):
    """Everybody does it at one moment. Returns what each got, or the error's class."""
    ready, answers = threading.Barrier(count), []

    def run(n):
        ready.wait()
        try:
            answers.append(work(n))
        except (intake.OverQuota, intake.TooOften) as no:
            answers.append(type(no))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[n]) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_eight_at_once_cannot_take_the_room_for_three(accept, monkeypatch, own_store):
    monkeypatch.setattr(quota, "allowance", lambda owner: Allowance(10**9, 3, 300))
    pictures = [picture("PNG", colour=(n, 0, 0)) for n in range(8)]

    answers = at_once(lambda n: accept(pictures[n], "a.png"))

    assert answers.count(intake.OverQuota) == 5
    assert (Upload.objects.count(), Usage.objects.get().count, len(own_store())) == (3, 3, 3)


def test_the_same_file_eight_times_at_once_is_one_upload(accept, own_store):
    answers = at_once(lambda n: accept(JPEG, "a.jpg").pk)

    assert set(answers) == {Upload.objects.get().pk}
    assert (Usage.objects.get().count, len(own_store())) == (1, 1)


def test_the_same_file_of_another_person_is_another_upload(accept):
    first = accept(JPEG, "a.jpg")

    assert accept(JPEG, "a.jpg", owner=baker.make("accounts.User", email="b@example.org")).pk != first.pk


def test_only_what_has_failed_is_tried_again(accept):
    with pytest.raises(intake.NotFailed, match="has not failed"):
        intake.retry(upload=accept(JPEG, "a.jpg"))


def test_what_failed_and_was_handed_in_again_is_not_tried_twice(accept):
    failed = accept(JPEG, "a.jpg")
    Upload.objects.update(status="failed", reason="Ours.", finished_at=failed.created_at)
    accept(JPEG, "a.jpg")

    with pytest.raises(intake.NotFailed, match="the same file again since"):
        intake.retry(upload=failed)


# -- Taken along, and forgotten ---------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    user_id: int


@BOTH_STORES
def test_a_person_gets_rows_and_the_files_they_name(accept, ada, deliver_due):
    upload = accept(JPEG, "cat.jpg")
    deliver_due()

    [row] = personal_data.tell(Person(ada.pk))
    kept = dict(personal_data.files(Person(ada.pk)))

    assert (row["id"], row["name"], row["files"]) == (str(upload.uid), "cat.jpg", list(kept))
    assert len(kept) == 13
    with kept[f"uploads/{upload.uid}/cat.jpg"]() as original:
        assert original.read() == JPEG


@BOTH_STORES
def test_a_person_who_is_erased_leaves_nothing(accept, ada, deliver_due, own_store):
    other = accept(JPEG, "a.jpg", owner=baker.make("accounts.User", email="b@example.org"))
    mine = [accept(JPEG, "cat.jpg"), accept(picture("PNG")[:99], "broken.png")]
    deliver_due()
    assert personal_data.references(Person(ada.pk)) == [f"upload:{upload.pk}" for upload in mine]

    for _ in "12":
        personal_data.erase(Person(ada.pk))
    deliver_due()

    assert list(Upload.objects.values_list("pk", flat=True)) == [other.pk]
    assert [name for name in own_store() if str(other.uid) not in name] == []
    assert not Usage.objects.filter(owner=ada).exists()
