"""Some seven hundred files that nobody should send: made here, from a seed, in a few seconds.

Each is a name and its bytes. `good` says that it must become ready; most of the others may end either way.
"""

import io
import random
import struct
import subprocess
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from uploads.filming import ffmpeg

SEED = 20
GPS, MAKER = (52.6424, 5.0597), "Canary Camera Works"  # Hoorn; looked for in all that comes out
HTML = b"<html><script>alert(document.domain)</script></html>"
PHP = b"<?php system($_GET['c']); ?>"
ZIP = b"PK\x03\x04\x14\x00\x00\x00\x00\x00" + b"\x00" * 40 + b"PK\x05\x06" + b"\x00" * 18


@dataclass(frozen=True)
class Bad:
    """why: what is wrong with it, with dashes."""

    why: str
    name: str
    content: bytes
    good: bool = False


def all_of_them(folder):
    """Every file, in the same order each time. `folder` is for ffmpeg's work."""
    dice = random.Random(SEED)
    pictures, films = _pictures(), _films(folder)
    found = []
    for name, content in {**pictures, **films}.items():
        found += _cut(name, content, dice)
        found += _flipped(name, content, dice)
        found += _renamed(name, content)
        found += _with_a_tail(name, content)
    for more in (_odd_pictures(), _lying(), _many_frames(), _camera_pictures(), _no_media(folder), _playlists()):
        found += more
    return found


def _pictures():
    base = Image.radial_gradient("L").resize((320, 240)).convert("RGB")
    return {
        "cat.jpg": _saved(base, "JPEG"),
        "cat.png": _saved(base, "PNG"),
        "cat.webp": _saved(base, "WEBP"),
        "cat.gif": _saved(base, "GIF"),
        "cat.avif": _saved(base, "AVIF"),
    }


@cache
def _films(folder):
    return {
        "dog.mp4": _drawn(folder, "dog.mp4"),
        "dog.webm": _drawn(folder, "dog.webm", "-c:v", "libvpx", "-deadline", "realtime"),
        "dog.mov": _drawn(folder, "dog.mov", "-movflags", "+faststart"),
    }


def _drawn(folder, name, *options, source="testsrc2=size=160x120:rate=10", seconds=1, sound=True):
    argv = [ffmpeg(), "-loglevel", "error", "-y", "-f", "lavfi", "-i", source]
    if sound:
        argv += ["-f", "lavfi", "-i", "sine=frequency=440"]
    subprocess.run([*argv, "-t", str(seconds), *options, str(folder / name)], check=True)
    return (folder / name).read_bytes()


def _saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _cut(name, content, dice):
    places = {0, 1, 11, 12, 40, len(content) - 1, *(dice.randrange(len(content)) for _ in range(18))}
    return [Bad(f"cut-at-{place}", name, content[:place]) for place in sorted(places)]


def _flipped(name, content, dice):
    """A few bits, in the headers or anywhere."""
    for n in range(48):
        spoilt = bytearray(content)
        for _ in range(1 + n % 8):
            where = dice.randrange(min(len(spoilt), 400) if n % 2 else len(spoilt))
            spoilt[where] ^= 1 << dice.randrange(8)
        yield Bad(f"flipped-{n}", name, bytes(spoilt))


def _renamed(name, content):
    others = ["cat.jpg", "cat.php", "cat.svg", "cat.png.exe", "cat.jpg.html", "cat", ".htaccess", "cat.mp4", "CAT.JPG "]
    names = ["../../etc/passwd.jpg", "c:\\boot.png", "\u202egpj.cat.png", "x" * 300 + ".png", "a\r\nSet-Cookie: b.gif"]
    return [Bad(f"called-{index}", other, content) for index, other in enumerate(others + names) if other != name]


def _with_a_tail(name, content):
    tails = {"html": HTML, "php": PHP, "zip": ZIP}
    return [Bad(f"with-{kind}-behind", name, content + tail, good=True) for kind, tail in tails.items()]


def _odd_pictures():
    grey = Image.linear_gradient("L")
    deep = Image.new("I;16", (64, 64), 40_000)
    clear = Image.new("RGBA", (300, 200), (10, 200, 30, 90))
    made = {
        "one-pixel.png": _saved(Image.new("RGB", (1, 1)), "PNG"),
        "one-line.png": _saved(Image.new("RGB", (19_000, 1)), "PNG"),
        "sixteen-bits.png": _saved(deep, "PNG"),
        "one-bit.png": _saved(grey.convert("1"), "PNG"),
        "palette.png": _saved(grey.convert("P"), "PNG", transparency=3),
        "grey-and-clear.png": _saved(grey.convert("LA"), "PNG"),
        "clear.png": _saved(clear, "PNG", compress_level=1),  # not as we do it, or the copy would be the same bytes
        "clear.webp": _saved(clear, "WEBP"),
        "clear.avif": _saved(clear, "AVIF"),
        "grey.jpg": _saved(grey, "JPEG"),
        "cmyk.jpg": _saved(Image.new("CMYK", (300, 200), (10, 90, 200, 30)), "JPEG"),
        "progressive.jpg": _saved(grey.convert("RGB"), "JPEG", progressive=True),
        "bad-profile.jpg": _saved(grey.convert("RGB"), "JPEG", icc_profile=b"not a profile" * 20),
        "bad-exif.jpg": _saved(grey.convert("RGB"), "JPEG", exif=b"Exif\x00\x00" + b"\xff" * 60),
        "lossless.webp": _saved(clear, "WEBP", lossless=True),
        "large.png": _saved(Image.new("1", (6_000, 6_000)), "PNG"),
    }
    return [Bad("odd", name, content, good=True) for name, content in made.items()]


def _lying():
    """Headers that promise more than there is, or than there may be."""
    for width, height in ((65_535, 65_535), (20_000, 20_000), (0, 0), (1, 2**31 - 1), (16_000, 16_000)):
        yield Bad(f"png-of-{width}x{height}", "lie.png", _png_of(width, height))
        yield Bad(f"gif-of-{width}x{height}", "lie.gif", _gif_of(width % 65_536, height % 65_536))
    jpeg = bytearray(_saved(Image.new("RGB", (64, 64)), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = b"\xff\xff\xff\xff"
    yield Bad("jpeg-of-65535", "lie.jpg", bytes(jpeg))
    yield Bad("bomb", "bomb.png", _saved(Image.new("1", (19_900, 19_900)), "PNG"))
    chunks = b"".join(_chunk(b"zTXt", b"k\x00\x00" + zlib.compress(b"\0" * 10_000_000)) for _ in range(20))
    yield Bad("texts-bomb", "texts.png", _png_of(1, 1, before=chunks))
    yield Bad("profile-bomb", "icc.png", _png_of(1, 1, before=_chunk(b"iCCP", b"k\0\0" + zlib.compress(b"\0" * 10**8))))


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_of(width, height, before=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = _chunk(b"IDAT", zlib.compress(b"\0" * 1_000))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + before + data + _chunk(b"IEND", b"")


def _gif_of(width, height):
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\x00\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff" + frame + b"\x3b"


def _many_frames():
    for count in (2, 900, 10_000):
        frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\x00\x02\x02\x44\x01\x00"
        head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
        yield Bad(f"{count}-frames", "frames.gif", head + frame * count + b"\x3b", good=count < 1000)
    two = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    for name, kind in (("two.webp", "WEBP"), ("two.png", "PNG"), ("two.avif", "AVIF")):
        yield Bad("animated", name, _saved(two[0], kind, save_all=True, append_images=two[1:]), good=True)


def _camera_pictures():
    """With where and with what they were taken, in every orientation."""
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = orientation, MAKER
        place = exif.get_ifd(0x8825)
        place[1], place[2] = "N", (GPS[0], 0.0, 0.0)
        place[3], place[4] = "E", (GPS[1], 0.0, 0.0)
        image = Image.radial_gradient("L").resize((200, 100)).convert("RGB")
        for name, kind in (("photo.jpg", "JPEG"), ("photo.webp", "WEBP"), ("photo.png", "PNG"), ("photo.avif", "AVIF")):
            yield Bad(f"turned-{orientation}", name, _saved(image, kind, exif=exif), good=True)


def _no_media(folder):
    place = ("-metadata", "location=+52.6424+005.0597/", "-metadata", f"make={MAKER}", "-movflags", "use_metadata_tags")
    silent = _drawn(folder, "sound.mp4", "-vn", source="testsrc2=size=160x120:rate=10")
    made = {
        "empty.jpg": b"",
        "empty.mp4": b"",
        "zeroes.png": bytes(5_000),
        "noise.jpg": random.Random(SEED).randbytes(20_000),
        "page.jpg": HTML,
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "paper.pdf": b"%PDF-1.7\n",
        "gifar.gif": b"GIF89a/*" + HTML + b"*/=1;",
        "archive.zip": ZIP,
        "sound.mp4": silent,
        "no-streams.mp4": silent[:32],
        "only-brands.mp4": struct.pack(">I", 20) + b"ftypisom\0\0\2\0mp41",
        "heic.mp4": struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic",
        "old.avi": b"RIFF\0\0\0\0AVI LIST",
        "matroska.webm": b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska" + bytes(99),
        "only-a-head.webm": b"\x1a\x45\xdf\xa3\x93\x42\x82\x84webm" + bytes(99),
    }
    found = [Bad("no-media", name, content) for name, content in made.items()]
    odd = {
        "placed.mp4": (place, {}),
        "tiny.mp4": ((), {"source": "testsrc2=size=16x16:rate=5"}),
        "flat.mp4": ((), {"source": "testsrc2=size=1920x16:rate=5"}),
        "tall.mp4": ((), {"source": "testsrc2=size=16x1920:rate=5"}),
        "silent.mp4": ((), {"sound": False}),
        "hevc.mp4": (("-c:v", "libx265", "-x265-params", "log-level=error"), {}),
        "ten-bits.mp4": (("-pix_fmt", "yuv420p10le"), {}),
        "fast.mp4": ((), {"source": "testsrc2=size=64x64:rate=240"}),
        "one-frame.mp4": (("-frames:v", "1"), {"sound": False}),
        "wide-pixels.mp4": (("-vf", "setsar=100"), {}),
    }
    for name, (options, shape) in odd.items():
        found.append(Bad("odd", name, _drawn(folder, name, *options, **shape), good=True))
    slow = ("-c:v", "mpeg4", "-r", "1")
    endless = _drawn(folder, "day.mp4", *slow, source="color=size=16x16:rate=1", seconds=86_400, sound=False)
    huge = _drawn(folder, "huge.mp4", "-c:v", "mpeg4", source="color=size=7680x4320:rate=1", sound=False)
    return [*found, Bad("too-long", "day.mp4", endless), Bad("too-large-frames", "huge.mp4", huge)]


def _playlists():
    """Texts that make a careless ffmpeg read other files, or speak to other machines."""
    secret = Path(__file__).as_uri()
    texts = {
        "hls": f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\n{secret}\n#EXT-X-ENDLIST\n",
        "hls-http": "#EXTM3U\n#EXTINF:10.0,\nhttp://127.0.0.1:9/secret.mp4\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {secret}\n",
        "concat-protocol": "#EXTM3U\n#EXTINF:1,\nconcat:http://127.0.0.1:9/a|file:///etc/passwd\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "dash": f"<?xml version='1.0'?><MPD><BaseURL>{secret}</BaseURL></MPD>",
        "subtitles": "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
    }
    for why, text in texts.items():
        for name in ("list.mp4", "list.webm", "list.mov", "list.avi", "list.jpg"):
            yield Bad(why, name, text.encode())
        # Behind a head that looks like one of ours.
        yield Bad(f"{why}-behind-a-head", "list.mp4", struct.pack(">I", 16) + b"ftypqt  \0\0\0\0" + text.encode())
        yield Bad(f"{why}-behind-a-head", "list.webm", b"\x1a\x45\xdf\xa3\x93\x42\x82\x84webm" + text.encode())
