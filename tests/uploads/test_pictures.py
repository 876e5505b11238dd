"""What becomes of a picture: upright, in sRGB, as clear as it was, and nothing else of it."""

import dataclasses
import io
import subprocess
import sys

import pytest
from PIL import Image, ImageCms

from config.bench import bare_media
from tests.uploads.conftest import picture
from uploads import decoding, limits
from uploads.decoding import Refused, pictured
from uploads.media import pictures, sandbox
from uploads.media.sandbox import Limits, Lost


def sizes(tmp_path, content, format="jpeg"):
    """What is made of it, opened: {(name, format): image}."""
    source = tmp_path / "source"
    source.write_bytes(content)
    seen = pictured(source, tmp_path, format=format)
    return {(one.name, one.format): Image.open(one.path) for one in seen.made}


def near(image, where, colour, by=6):
    found = image.convert("RGB").getpixel(where)
    return all(abs(a - b) <= by for a, b in zip(found, colour, strict=True))


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright(tmp_path, orientation):
    """As seen, all eight have a red corner at the top left and are wider than high."""
    upright = Image.new("RGB", (400, 200), "white")
    upright.paste("red", (0, 0, 100, 100))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how a camera held like that stores it
    stored = upright.transpose(Image.Transpose(back[orientation])) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation

    shown = sizes(tmp_path, saved(stored, "JPEG", exif=exif, quality=95))["large", "jpeg"]

    assert (shown.size, near(shown, (50, 50), (254, 0, 0)), near(shown, (350, 150), (255, 255, 255))) == (
        (400, 200),
        True,
        True,
    )


def where_green_is_red():
    """A profile of colours like sRGB's, with two of its primaries exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = (profile.index(tag, 128) + 4 for tag in (b"rXYZ", b"gXYZ"))
    profile[red : red + 8], profile[green : green + 8] = profile[green : green + 8], profile[red : red + 8]
    return bytes(profile)


def test_colours_are_as_they_were_meant_and_their_profile_is_dropped(tmp_path):
    content = saved(Image.new("RGB", (64, 64), (0, 255, 0)), "PNG", icc_profile=where_green_is_red())

    shown = sizes(tmp_path, content, "png")

    assert [name for name, image in shown.items() if not near(image, (10, 10), (255, 0, 0))] == []
    assert [name for name, image in shown.items() if "icc_profile" in image.info] == []


def test_what_is_clear_stays_clear(tmp_path):
    shown = sizes(tmp_path, saved(Image.new("RGBA", (300, 200), (10, 200, 30, 90)), "PNG"), "png")

    assert {format for _, format in shown} == {"webp", "avif", "png"}
    assert {image.convert("RGBA").getpixel((9, 9))[3] for image in shown.values()} <= {89, 90, 91}


def test_sixteen_bits_of_grey_keep_their_shade(tmp_path):
    shown = sizes(tmp_path, saved(Image.new("I;16", (64, 64), 32_896), "PNG"), "png")["large", "jpeg"]

    assert near(shown, (30, 30), (128, 128, 128))


def test_cmyk_becomes_what_it_looks_like(tmp_path):
    shown = sizes(tmp_path, saved(Image.new("CMYK", (300, 200), (0, 255, 255, 0)), "JPEG", quality=95))["large", "jpeg"]

    assert near(shown, (30, 30), (254, 0, 0))


def test_nothing_is_blown_up(tmp_path):
    assert {image.size for image in sizes(tmp_path, picture(size=(100, 50))).values()} == {(100, 50)}


def test_the_limit_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(limits.MOST_PIXELS, "png", 10_000)
    with pytest.raises(Refused, match=r"^This picture has 0 MP \(640 × 480\); the limit for PNG is 0 MP\.$"):
        sizes(tmp_path, picture("PNG"), "png")


# -- The jail ---------------------------------------------------------------------------------

SMALL = Limits(memory=100 * decoding.MEGA, cpu=2, wall=20, file=1_000_000)


def python(code, tmp_path, **changes):
    argv = [sys.executable, "-I", "-c", code]
    return sandbox.run(argv, folder=tmp_path, limits=dataclasses.replace(SMALL, **changes))


def test_who_takes_too_much_memory_gets_none(tmp_path):
    ran = python("bytearray(200_000_000)", tmp_path)

    assert (ran.code, "MemoryError" in ran.complained) == (1, True)


def test_who_works_too_long_is_ended(tmp_path):
    ran = python("while True: pass", tmp_path, cpu=1)

    assert ran.took_too_much_time


def test_who_only_waits_is_ended_too(tmp_path):
    with pytest.raises(Lost):
        python("import time; time.sleep(60)", tmp_path, wall=1.0)


def test_who_writes_too_much_is_stopped(tmp_path):
    ran = python("open('f', 'wb').write(bytes(5_000_000))", tmp_path)

    assert ran.code != 0
    assert (tmp_path / "f").stat().st_size <= SMALL.file


def test_who_is_killed_says_nothing_of_the_file(tmp_path):
    with pytest.raises(Lost, match="killed"):
        python("import os; os.kill(os.getpid(), 9)", tmp_path)


def test_a_decoder_sees_none_of_our_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    ran = python("import os; print(*sorted(os.environ))", tmp_path)

    assert ran.said.decode().split() == sorted(sandbox.ENVIRONMENT)


def test_its_children_die_with_it(tmp_path):
    code = (
        "import subprocess, sys; subprocess.Popen(['sleep', '61.5']); sys.stdout.close(); import time; time.sleep(60)"
    )
    with pytest.raises(Lost):
        python(code, tmp_path, wall=1.5)

    assert subprocess.run(["pgrep", "-fx", "sleep 61.5"], capture_output=True).stdout == b""


def test_a_library_that_is_missing_is_no_fault_of_the_file(tmp_path):
    with pytest.raises(Lost, match="cannot work here"):
        sandbox.run(["/nowhere/ffmpeg"], folder=tmp_path, limits=SMALL)


def test_the_benchmark_makes_what_we_make():
    ours = {form: dict(facts) for form, facts in pictures.ENCODED.items() if form != "png"}
    assert (pictures.SIZES, tuple(ours)) == (bare_media.SIZES, bare_media.FORMATS)
    assert {
        form: {k: v for k, v in facts.items() if k != "format"} for form, facts in ours.items()
    } == bare_media.PILLOW
