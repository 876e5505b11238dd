"""From a file to what people see, and every way out of it."""

from tests.uploads.conftest import film, picture
from uploads.events import ImageProcessed, VideoTranscoded


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_picture_becomes_four_sizes_in_three_formats(accept, deliver_due, events):
    upload = accept(picture(size=(2400, 1600)), "cat.jpg")
    assert upload.status == "received"

    deliver_due()

    upload.refresh_from_db()
    assert (upload.status, upload.progress, upload.reason) == ("ready", 100, "")
    made = {(one.name, one.format): (one.width, one.height) for one in upload.renditions.all()}
    sizes = {"thumb": (240, 160), "small": (480, 320), "medium": (960, 640), "large": (1920, 1280)}
    assert made == {(name, format): size for name, size in sizes.items() for format in ("webp", "avif", "jpeg")}
    assert events.published(ImageProcessed, upload_id=upload.pk) == [ImageProcessed(upload_id=upload.pk)]


def test_a_film_becomes_two_sizes_and_a_poster(accept, deliver_due, events, tmp_path):
    upload = accept(film(tmp_path, size="1280x720"), "film.mp4")

    deliver_due()

    upload.refresh_from_db()
    assert (upload.status, upload.progress, upload.reason) == ("ready", 100, "")
    films = {one.name: (one.width, one.height) for one in upload.renditions.filter(format="mp4")}
    assert films == {"480p": (852, 480), "720p": (1280, 720)}
    assert set(upload.renditions.exclude(format="mp4").values_list("name", flat=True)) == {
        "thumb",
        "small",
        "medium",
        "poster",
    }
    assert len(events.published(VideoTranscoded, upload_id=upload.pk)) == 1
    assert 1900 <= upload.duration_ms <= 2100
