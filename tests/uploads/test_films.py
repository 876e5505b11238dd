"""What ffmpeg may not be talked into, and what becomes of a film."""

import re
import socket
import subprocess
import sys
import threading

import pytest

from tests.uploads.conftest import film
from uploads import filming, limits
from uploads.decoding import Refused
from uploads.filming import filmed, posed
from uploads.media import films, sandbox
from uploads.media.films import DECODERS


@pytest.fixture
def made(tmp_path):
    """`made(bytes, "mov")`: what is made of it, in `tmp_path`."""

    def run(content, format="mov"):
        (tmp_path / "source").write_bytes(content)
        return filmed(tmp_path / "source", tmp_path, format=format, hear=lambda share: None)

    return run


def said_of(tmp_path, path):
    return sandbox.run(films.own(filming.ffmpeg(), path), folder=tmp_path, limits=filming.FOR_A_LOOK).complained


@pytest.fixture
def caller():
    """Somebody who waits for a call at `caller.url`; `caller.called` says whether one came."""

    class Caller:
        called = False

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended, here = threading.Event(), Caller()
        here.url = f"http://127.0.0.1:{server.getsockname()[1]}/secret.mp4"

        def wait():
            while not ended.is_set():
                try:
                    server.accept()[0].close()
                    here.called = True
                except TimeoutError:
                    continue

        thread = threading.Thread(target=wait)
        thread.start()
        yield here
        ended.set()
        thread.join()


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("format", ["mov", "webm"])
@pytest.mark.parametrize("text", [PLAYLIST, "ffconcat version 1.0\nfile '{}'\n"])
def test_no_list_makes_it_read_another_file(made, tmp_path, text, format):
    (tmp_path / "secret.mp4").write_bytes(film(tmp_path, "secret.mp4"))

    with pytest.raises(Refused):
        made(text.format(tmp_path / "secret.mp4").encode(), format)

    assert list(tmp_path.glob("*p.mp4")) == []


@pytest.mark.parametrize("format", ["mov", "webm"])
def test_no_list_makes_it_call_anybody(made, caller, format):
    with pytest.raises(Refused):
        made(PLAYLIST.format(caller.url).encode(), format)

    assert not caller.called


def test_an_address_is_no_file_to_it(tmp_path, caller):
    """Were one of ours ever to name an address, no call would go out: its protocols are files only."""
    argv = films.look(filming.ffmpeg(), tmp_path, format="mov")
    argv[argv.index("-i") + 1] = caller.url

    ran = sandbox.run(argv, folder=tmp_path, limits=filming.FOR_A_LOOK)

    assert "Protocol 'http' not on whitelist" in ran.complained
    assert (ran.code != 0, caller.called) == (True, False)


def test_what_we_sniffed_is_what_it_reads(made, tmp_path):
    """A file of another kind is not tried as what else it might be."""
    content = film(tmp_path, "in.webm", options=("-c:v", "libvpx", "-deadline", "realtime"))

    with pytest.raises(Refused):
        made(content, "mov")


@pytest.mark.skipif(
    subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True).returncode != 0,
    reason="this system lets nobody give up the network",
)
def test_a_jailed_process_reaches_nobody(tmp_path, caller):

    code = f"import urllib.request; urllib.request.urlopen({caller.url!r}, timeout=3)"
    ran = sandbox.run([sys.executable, "-I", "-c", code], folder=tmp_path, limits=filming.FOR_A_LOOK)

    assert (ran.code, caller.called) == (1, False)


def test_a_codec_that_nobody_needs_is_not_decoded(made, tmp_path):
    assert "ffv1" not in DECODERS
    content = film(tmp_path, "odd.mov", options=("-c:v", "qtrle"), sound=False)

    with pytest.raises(Refused):
        made(content)


def test_a_film_has_no_place_and_no_maker(made, tmp_path):
    placed = ("-metadata", "location=+52.6424+005.0597/", "-metadata", "make=Canary", "-movflags", "use_metadata_tags")
    content = film(tmp_path, options=placed)
    assert b"+52.6424" in content

    [one] = made(content).made

    assert re.search(rb"52\.6424|Canary", one.path.read_bytes()) is None


def test_a_film_begins_to_play_before_it_is_all_there(made, tmp_path):
    [one] = made(film(tmp_path)).made
    content = one.path.read_bytes()

    assert content.index(b"moov") < content.index(b"mdat")


def test_a_telephone_held_upright_makes_an_upright_film(made, tmp_path):
    content = film(tmp_path, "flat.mp4", size="640x360")
    (tmp_path / "flat.mp4").write_bytes(content)
    turned = tmp_path / "turned.mp4"
    argv = [filming.ffmpeg(), "-loglevel", "error", "-display_rotation", "90", "-i", tmp_path / "flat.mp4"]

    subprocess.run([*argv, "-c", "copy", turned], check=True)

    seen = made(turned.read_bytes())

    assert (seen.width, seen.height) == (360, 640)


def test_h264_and_aac_come_out_whatever_went_in(made, tmp_path):
    content = film(tmp_path, "in.webm", options=("-c:v", "libvpx", "-deadline", "realtime"))

    [one] = made(content, "webm").made

    said = said_of(tmp_path, one.path)
    assert re.search(r"Video: h264 .*yuv420p", said)
    assert "Audio: aac" in said


def test_sound_alone_is_no_film(made, tmp_path):
    with pytest.raises(Refused, match=r"^There are no moving pictures in this file\.$"):
        made(film(tmp_path, "sound.mp4", options=("-vn",)))


def test_what_is_too_long_is_told_the_limit(made, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "LONGEST_VIDEO", 60)
    content = film(tmp_path, seconds=90, size="16x16", sound=False)

    with pytest.raises(Refused, match=r"^This video is 1\.5 minutes long; the limit is 1 minutes\.$"):
        made(content)


def test_what_is_too_large_is_told_the_limit(made, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MOST_VIDEO_PIXELS", 320 * 200)

    with pytest.raises(Refused, match=r"^The frames of this video are 320 × 240; 3840 × 2160 is the limit\.$"):
        made(film(tmp_path))


def test_a_full_disk_is_no_fault_of_the_film(made, tmp_path, monkeypatch):
    content = film(tmp_path)
    run = sandbox.run

    def full(argv, **options):
        ran = run(argv, **options)
        return sandbox.Ran(**{**vars(ran), "code": 228, "complained": "av_interleaved_write_frame(): " + filming.FULL})

    monkeypatch.setattr(sandbox, "run", full)
    with pytest.raises(sandbox.Lost):
        made(content)


def test_a_film_of_one_frame_has_a_poster(made, tmp_path):
    seen = made(film(tmp_path, options=("-frames:v", "1"), sound=False))

    poster = posed(seen.made[-1].path, tmp_path, duration_ms=seen.duration_ms)

    assert {one.name for one in poster.made} == {"poster", "medium", "small", "thumb"}
