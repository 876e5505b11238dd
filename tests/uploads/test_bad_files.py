"""Whatever people send, it ends: shown in sizes of ours, or refused with a reason.

Each run takes one file in ten, CI and --full take all.
"""

import io
import os

import pytest
from PIL import Image

from config.bench.media import Watch
from tests.uploads.bad_files import HTML, MAKER, PHP, ZIP, all_of_them
from uploads import storage
from uploads.formats import NotAccepted
from uploads.media import sandbox
from uploads.receiving import TooLarge

FULL = os.environ.get("CI") == "true" or os.environ.get("WAYBILL_FULL") == "1"
TENTHS = 10
LONGEST, MOST_MEMORY = 10.0, 300e6  # seconds of a child's own work, bytes that it may hold
TELLTALES = [HTML, PHP, ZIP, MAKER.encode(), b"52.6424", b"Exif\0\0"]


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    return all_of_them(tmp_path_factory.mktemp("films"))


@pytest.fixture
def children(monkeypatch):
    """What each decoder used: [(bytes, seconds of CPU)], looked at from outside while it ran."""
    seen = []
    run = sandbox.run

    def watched(argv, **options):
        with Watch() as watch:
            ran = run(argv, **options)
        seen.append((watch.peak, ran.cpu))
        return ran

    monkeypatch.setattr(sandbox, "run", watched)
    return seen


def test_there_are_enough_of_them(bad_files):
    assert len(bad_files) >= 600
    assert len({(bad.name, bad.content) for bad in bad_files}) >= 600


@pytest.mark.parametrize("part", range(TENTHS) if FULL else [3])
def test_every_bad_file_comes_to_a_good_end(part, bad_files, accept, deliver_due, children):
    ended = {bad: _end_of(bad, accept, deliver_due) for bad in bad_files[part::TENTHS]}

    assert {(bad.why, bad.name): end for bad, end in ended.items() if bad.good and end != "ready"} == {}
    peak = max(peak for peak, _ in children)
    assert 20e6 < peak < MOST_MEMORY, f"{peak / 1e6:.0f} MB"
    assert max(cpu for _, cpu in children) < LONGEST


def _end_of(bad, accept, deliver_due):
    """How it ended, after a look at whatever is shown of it."""
    try:
        upload = accept(bad.content, bad.name)
    except (NotAccepted, TooLarge) as why:
        assert len(str(why)) > 10
        return "refused"
    deliver_due()
    upload.refresh_from_db()
    assert upload.status in ("ready", "rejected"), f"{bad.why} {bad.name}: {upload.status}"
    assert (upload.status == "ready") == (not upload.reason)
    for rendition in upload.renditions.all():
        _look_at(b"".join(storage.parts(rendition.path, 0, rendition.bytes - 1)), bad, rendition)
    return upload.status


def _look_at(shown, bad, rendition):
    assert len(shown) == rendition.bytes
    assert shown != bad.content
    assert [telltale for telltale in TELLTALES if telltale in shown] == []
    if rendition.format != "mp4":
        image = Image.open(io.BytesIO(shown))
        image.load()
        assert (image.size, dict(image.getexif())) == ((rendition.width, rendition.height), {})
