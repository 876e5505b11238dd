"""A store of its own for each test, people, and files as cameras and telephones make them."""

import io
import subprocess

import pytest
from model_bakery import baker
from PIL import Image

from config.env import media_store
from tests.uploads import bucket
from uploads import intake, receiving, storage
from uploads.filming import ffmpeg


class Kept:
    def __init__(self, bucket):
        self.bucket = bucket

    def __call__(self):
        return sorted(self.bucket.objects)


@pytest.fixture(autouse=True)
def own_store(request, settings, tmp_path):
    """Nothing of a test's lies where the shop's own files are. `own_store()` names all that is kept.

    A folder; a bucket where a test is parametrized with `BOTH_STORES`, of which `own_store.bucket` tells more.
    """
    settings.UPLOADS_WORK = tmp_path / "work"
    if getattr(request, "param", "folder") == "folder":
        folder = tmp_path / "media"
        settings.STORAGES = settings.STORAGES | {"media": media_store("", folder=folder)}
        yield lambda: sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        return
    with bucket.running() as there:
        settings.STORAGES = settings.STORAGES | {"media": media_store(there.url, folder=tmp_path)}
        yield Kept(there)


BOTH_STORES = pytest.mark.parametrize("own_store", ["folder", "bucket"], indirect=True)


@pytest.fixture
def ada(transactional_db):
    return baker.make("accounts.User", email="ada@example.org", is_staff=False)


@pytest.fixture
def accept(ada, tmp_path):
    """`accept(bytes, "cat.jpg")`: handed in by Ada, or by `owner`."""

    def taken(content, name, owner=ada):
        with storage.workplace() as folder:
            return intake.accept(owner=owner, file=receiving.received(name=name, chunks=[content], folder=folder))

    return taken


@pytest.fixture
def begun(monkeypatch):
    """The names of the files that were begun on our disk."""
    names, begin = [], receiving.Reception.__init__

    def noted(self, **file):
        names.append(file["name"])
        begin(self, **file)

    monkeypatch.setattr(receiving.Reception, "__init__", noted)
    return names


def picture(kind="JPEG", size=(640, 480), *, mode="RGB", colour=(200, 30, 60), **options):
    """The bytes of a plain picture with a gradient, so that it is no single colour."""
    image = Image.linear_gradient("L").resize(size).convert(mode) if colour is None else Image.new(mode, size, colour)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def film(folder, name="film.mp4", *, seconds=2, size="320x240", sound=True, options=()):
    """The bytes of a short film that ffmpeg draws."""
    argv = [ffmpeg(), "-loglevel", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25"]
    if sound:
        argv += ["-f", "lavfi", "-i", "sine=frequency=440"]
    argv += ["-t", str(seconds), *options, str(folder / name)]
    subprocess.run(argv, check=True)
    return (folder / name).read_bytes()
