"""From a file to what people see, and every way out of it, on a disk and in a bucket."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone
from model_bakery import baker

from notifications.personal_data.models import Export
from notifications.pipeline.events import subscriptions
from tests.uploads.conftest import BOTH_STORES, film, picture
from uploads import decoding, filming, intake, processing, storage, sweeping
from uploads.events import ImageProcessed, UploadRejected, VideoTranscoded
from uploads.media.sandbox import Lost
from uploads.models import Rendition, Upload, Usage

pytestmark = BOTH_STORES
SIZES = {"thumb": (240, 160), "small": (480, 320), "medium": (960, 640), "large": (1920, 1280)}
TRIES = 4


def kept(upload):
    return sorted([upload.original, *upload.renditions.values_list("path", flat=True)])


def test_a_picture_becomes_four_sizes_in_three_formats(accept, deliver_due, events, own_store):
    upload = accept(picture(size=(2400, 1600)), "cat.jpg")
    assert upload.status == "received"

    deliver_due()

    upload.refresh_from_db()
    assert (upload.status, upload.progress, upload.reason) == ("ready", 100, "")
    made = {(one.name, one.format): (one.width, one.height) for one in upload.renditions.all()}
    assert made == {(name, format): size for name, size in SIZES.items() for format in ("webp", "avif", "jpeg")}
    assert events.published(ImageProcessed, upload_id=upload.pk) == [ImageProcessed(upload_id=upload.pk)]
    assert own_store() == kept(upload)


def test_a_film_becomes_two_sizes_and_a_poster(accept, deliver_due, events, tmp_path, own_store):
    upload = accept(film(tmp_path, size="1280x720"), "film.mp4")

    deliver_due()

    upload.refresh_from_db()
    assert (upload.status, upload.progress, upload.reason) == ("ready", 100, "")
    films = {one.name: (one.width, one.height) for one in upload.renditions.filter(format="mp4")}
    assert films == {"480p": (852, 480), "720p": (1280, 720)}
    pictures = set(upload.renditions.exclude(format="mp4").values_list("name", flat=True))
    assert pictures == {"thumb", "small", "medium", "poster"}
    assert len(events.published(VideoTranscoded, upload_id=upload.pk)) == 1
    assert 1900 <= upload.duration_ms <= 2100
    assert own_store() == kept(upload)


def test_the_same_bytes_of_the_same_person_are_the_same_upload(accept, deliver_due, own_store):
    first = accept(picture(), "cat.jpg")
    deliver_due()
    before = own_store()

    again = accept(picture(), "other.jpg")
    deliver_due()

    assert (again.pk, own_store()) == (first.pk, before)


def test_a_damaged_file_is_rejected_with_a_reason_and_keeps_no_room(accept, deliver_due, events, own_store):
    upload = accept(picture("PNG")[:200], "half.png")

    deliver_due()

    upload.refresh_from_db()
    why = "We could not read this file: it is damaged, or not what it says it is."
    assert (upload.status, upload.reason) == ("rejected", why)
    assert events.published(UploadRejected) == [UploadRejected(upload_id=upload.pk, uid=str(upload.uid), reason=why)]
    assert (own_store(), Usage.objects.get().bytes) == ([], 0)


def test_a_film_whose_poster_cannot_be_made_is_rejected_with_all_that_was_made_of_it(
    accept, deliver_due, tmp_path, own_store, monkeypatch
):
    upload = accept(film(tmp_path), "film.mp4")

    def refused(*_, **__):
        raise decoding.Refused("There is no picture in it.")

    monkeypatch.setattr(processing, "posed", refused)
    deliver_due()

    upload.refresh_from_db()
    assert (upload.status, upload.renditions.count(), own_store()) == ("rejected", 0, [])


def test_deleting_leaves_neither_files_nor_rows_nor_a_place_taken(accept, deliver_due, own_store):
    upload = accept(picture(), "cat.jpg")
    deliver_due()

    intake.delete(upload=upload)
    intake.delete(upload=upload)
    deliver_due()

    usage = Usage.objects.get()
    assert (own_store(), Rendition.objects.count(), usage.bytes, usage.count) == ([], 0, 0, 0)


def test_deleting_while_it_is_worked_on_leaves_nothing(accept, deliver_due, own_store, monkeypatch):
    upload = accept(picture(), "cat.jpg")

    def deleted_meanwhile(*args, **options):
        intake.delete(upload=upload)
        return decoding.pictured(*args, **options)

    monkeypatch.setattr(processing, "pictured", deleted_meanwhile)
    deliver_due()

    assert (own_store(), Upload.objects.count()) == ([], 0)


def test_who_was_overtaken_writes_nothing(accept, deliver_due, events, own_store, monkeypatch):
    """Its worker was given up for dead, another has begun, and then the first comes back."""
    upload = accept(picture(), "cat.jpg")

    def overtaken(*args, **options):
        monkeypatch.setattr(processing, "pictured", decoding.pictured)
        seen = decoding.pictured(*args, **options)
        processing.make_renditions(upload_id=upload.pk)
        return seen

    monkeypatch.setattr(processing, "pictured", overtaken)
    deliver_due()

    upload.refresh_from_db()
    assert (upload.status, upload.renditions.count()) == ("ready", 12)
    assert own_store() == kept(upload)
    assert len(events.published(ImageProcessed)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_worker_that_dies_after_each_step_doubles_nothing(accept, deliver_due, events, tmp_path, own_store, seed):
    uploads = [accept(picture(), "cat.jpg"), accept(film(tmp_path), "film.mp4")]

    deliver_due(seed=seed, die=0.8)

    assert list(Upload.objects.values_list("status", flat=True)) == ["ready", "ready"]
    assert own_store() == sorted(name for upload in uploads for name in kept(upload))
    told = [len(events.published(kind)) for kind in (ImageProcessed, VideoTranscoded)]
    assert told == [1, 1]


def test_what_is_our_fault_is_tried_again_and_then_told(accept, deliver_due, pass_time, monkeypatch):
    upload = accept(picture(), "cat.jpg")

    def lost(*_, **__):
        raise Lost("the decoder was killed")

    monkeypatch.setattr(decoding.sandbox, "run", lost)
    for _ in range(TRIES):
        deliver_due()
        pass_time(hours=1)

    upload.refresh_from_db()
    assert (upload.status, upload.reason) == (
        "failed",
        "Something went wrong on our side. Try again; we have been told of it.",
    )

    monkeypatch.undo()


def test_what_failed_is_made_at_the_second_try(accept, deliver_due):
    upload = accept(picture(), "cat.jpg")
    Upload.objects.update(status="failed", reason="Ours.", finished_at=upload.created_at)

    intake.retry(upload=upload)
    deliver_due()

    upload.refresh_from_db()
    assert (upload.status, upload.renditions.count()) == ("ready", 12)


def test_the_sweep_removes_what_no_row_names_and_nothing_young(accept, deliver_due, own_store, tmp_path):
    upload = accept(picture(), "cat.jpg")
    deliver_due()
    before = own_store()
    left = tmp_path / "left"
    for name in ("originals/orphan", f"{upload.folder}/orphan.webp", "renditions/gone/orphan.webp", "drafts/orphan"):
        left.write_bytes(b"x")
        storage.keep(name, left)

    assert sweeping.sweep() == 0
    swept = sweeping.sweep(older_than=-1)

    assert (swept, own_store()) == (4, before)


def left_lying(tmp_path, *names):
    for name in names:
        (tmp_path / "left").write_bytes(b"x")
        storage.keep(name, tmp_path / "left")


def test_copies_of_peoples_data_are_swept_when_their_row_says_that_they_are_gone(ada, own_store, tmp_path):
    ready = {"ready_at": timezone.now(), "expires_at": timezone.now(), "bytes": 1}
    exports = [baker.make(Export, user=ada, state="gone"), baker.make(Export, user=ada, state="ready", **ready)]
    left_lying(tmp_path, *(one.path for one in exports), "exports/orphan.zip", "somebody-elses/file")

    assert sweeping.sweep(older_than=-1) == 2
    assert own_store() == sorted([exports[1].path, "somebody-elses/file"])


def test_what_is_deleted_while_the_sweep_looks_stops_it_nowhere(accept, own_store, tmp_path):
    names = [f"originals/orphan-{n:02}" for n in range(12)]
    left_lying(tmp_path, *names)
    found = storage.everything(older_than=-1)

    seen = [next(found)]
    storage.remove(*(name for name in names if name not in seen))
    seen += found

    assert set(seen) <= set(names)
    assert storage.opened(seen[0]).read() == b"x"
    assert sweeping.sweep(older_than=-1) == 1


def test_the_sweep_asks_a_bucket_for_lists_and_not_for_each_file(ada, own_store, tmp_path):
    left_lying(tmp_path, *(f"renditions/{n:02}/orphan" for n in range(12)))
    asked = own_store.bucket.asked if hasattr(own_store, "bucket") else []
    asked.clear()

    assert sweeping.sweep() == 0
    assert sweeping.sweep(older_than=-1) == 12
    assert {how for how, key in asked} <= {"GET", "DELETE"}
    assert [key for how, key in asked if how == "GET" and key] == []


def test_a_large_file_goes_to_a_bucket_in_parts_and_comes_back_whole(own_store, tmp_path):
    content = bytes(range(256)) * 80_000  # 20 MB: more than two parts
    (tmp_path / "large").write_bytes(content)

    storage.keep("originals/large", tmp_path / "large")

    with storage.opened("originals/large") as source:
        assert source.read() == content
    assert b"".join(storage.parts("originals/large", 9_000_000, 9_000_009)) == content[9_000_000:9_000_010]
    if hasattr(own_store, "bucket"):
        assert [how for how, _ in own_store.bucket.asked].count("POST") == 2


def test_parts_of_what_is_not_there_are_not_found(own_store):
    with pytest.raises(FileNotFoundError):
        list(storage.parts("renditions/gone", 0, 9))
    with pytest.raises(FileNotFoundError):
        storage.opened("renditions/gone")


def test_the_sweep_may_take_hours():
    assert subscriptions["uploads.sweep"].limit == timedelta(hours=2)


def test_progress_moves_while_a_film_is_made(accept, deliver_due, tmp_path, monkeypatch):
    upload = accept(film(tmp_path, seconds=12, size="640x480"), "film.mp4")
    told = []
    write = processing.Run.write

    def noted(run, **changes):
        told.append(changes.get("progress"))
        write(run, **changes)

    monkeypatch.setattr(processing.Run, "write", noted)
    monkeypatch.setattr(processing, "TOLD_EVERY", 0.0)
    deliver_due()

    upload.refresh_from_db()
    assert told == sorted(told)
    assert any(0 < percent < processing.FILM_ENDS_AT for percent in told)
    assert (told[-1], upload.status) == (100, "ready")


def test_a_machine_without_ffmpeg_rejects_nothing(accept, deliver_due, tmp_path, settings):
    upload = accept(film(tmp_path), "film.mp4")
    settings.FFMPEG_BINARY = str(tmp_path / "no-ffmpeg")

    deliver_due()

    upload.refresh_from_db()
    assert (filming.ffmpeg(), upload.status) == (settings.FFMPEG_BINARY, "processing")


def test_the_bar_stays_where_it_was_when_the_decoder_names_the_slower_size(monkeypatch):
    told = []
    monkeypatch.setattr(processing, "TOLD_EVERY", 0.0)
    tell = processing._teller(SimpleNamespace(write=lambda progress: told.append(progress)))

    for share in (0.5, 0.4, 0.6):
        tell(share)

    assert told == [int(share * processing.FILM_ENDS_AT) for share in (0.5, 0.5, 0.6)]
