"""Films, decoded in a jail: what came of it, or in words why nothing did."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from django.conf import settings

from uploads import limits
from uploads.decoding import MEGA, Hear, Made, Refused, Seen, endured, pictured
from uploads.media import films, sandbox
from uploads.media.films import Progress
from uploads.media.pictures import UNREADABLE
from uploads.media.sandbox import Limits, Lost, Ran

# Reading without decoding, or one frame of our own.
FOR_A_LOOK: Final = Limits(memory=200 * MEGA, cpu=8, wall=60, file=40 * MEGA)
NO_PICTURES: Final = "There are no moving pictures in this file."
TOO_BIG: Final = "This video needs more memory than we give to one."
FULL: Final = "No space left on device"  # in the words of the system, as ffmpeg repeats them


def ffmpeg() -> str:
    """Our own, or what FFMPEG_BINARY names."""
    if settings.FFMPEG_BINARY:
        return str(settings.FFMPEG_BINARY)
    from imageio_ffmpeg import get_ffmpeg_exe  # looks for the file: not in vain at each start

    return str(get_ffmpeg_exe())


def filmed(source: Path, folder: Path, *, format: str, hear: Hear) -> Seen:
    """A video in sizes that every browser plays, as files in `folder`. hear: is told how much is done, from 0 to 1.

    Raises Refused, or sandbox.Lost when it says nothing about the file.
    """
    (width, height), length = _looked_at(source, folder, format)
    names = films.sizes_for(width, height)
    argv = films.transcode(ffmpeg(), source, format=format, names=names)
    ran = _run(argv, folder, _enough(length.ms, width * height), _shares(length.ms, hear))
    made = [_own(folder, name) for name in names]
    large = made[-1]
    return Seen(width=large.width, height=large.height, made=made, duration_ms=films.progress(ran.said).ms)


def posed(film: Path, folder: Path, *, duration_ms: int) -> Seen:
    """The picture that stands for a film of ours, in all sizes; the largest is called poster. Raises as filmed."""
    for at in (duration_ms // 10, 0):  # nearly all begin in black
        _run(films.poster(ffmpeg(), film, at_ms=at), folder, FOR_A_LOOK)
        if (folder / "poster.png").exists():
            break
    else:
        raise Refused(UNREADABLE)
    seen = pictured(folder / "poster.png", folder, format="png")
    made = [replace(one, name="poster") if one.name == "large" else one for one in seen.made]
    return replace(seen, made=made)


def _looked_at(source: Path, folder: Path, format: str) -> tuple[tuple[int, int], Progress]:
    """Its frames' size and its length. Raises Refused for what is too much."""
    ran = _run(films.look(ffmpeg(), source, format=format), folder, FOR_A_LOOK)
    sizes, length = films.frame_sizes(ran.complained), films.progress(ran.said)
    if not sizes or not length.frames:
        raise Refused(NO_PICTURES)
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    if width * height > limits.MOST_VIDEO_PIXELS:
        raise Refused(f"The frames of this video are {width} × {height}; 3840 × 2160 is the limit.")
    if length.ms > limits.LONGEST_VIDEO * 1000:
        words = f"{length.ms / 60_000:.1f} minutes long; the limit is {limits.LONGEST_VIDEO // 60} minutes"
        raise Refused(f"This video is {words}.")
    if length.frames > limits.MOST_VIDEO_FRAMES:
        raise Refused(f"This video has {length.frames} frames; the limit is {limits.MOST_VIDEO_FRAMES}.")
    return (width, height), length


def _enough(ms: int, pixels: int) -> Limits:
    """What honest films of this length and size need several times over."""
    cpu = 8 + ms // 1000 * (4 if pixels <= 1920 * 1088 else 16)
    memory = 250 if pixels <= 1920 * 1088 else 600  # what decoders and encoders keep of large frames
    return Limits(memory=memory * MEGA, cpu=cpu, wall=60 + 3 * cpu, file=400 * MEGA)


def _shares(whole_ms: int, hear: Hear) -> Callable[[bytes], None]:
    def listen(line: bytes) -> None:
        if line.startswith(b"out_time_us=") and line[12:].isdigit():  # else it says N/A, now and then
            hear(min(1.0, films.progress(line).ms / max(1, whole_ms)))

    return listen


def _own(folder: Path, name: str) -> Made:
    path = folder / f"{name}.mp4"
    if not path.exists():
        raise Refused(UNREADABLE)
    sizes = films.frame_sizes(_run(films.own(ffmpeg(), path), folder, FOR_A_LOOK).complained)
    if not sizes:
        raise Refused(UNREADABLE)  # not one frame could be decoded
    (width, height), size = sizes[0], path.stat().st_size
    return Made(path=path, name=name, format="mp4", width=width, height=height, bytes=size)


def _run(argv: list[str], folder: Path, most: Limits, hear: Callable[[bytes], None] | None = None) -> Ran:
    ran = sandbox.run(argv, folder=folder, limits=most, hear=hear)
    if FULL in ran.complained:
        raise Lost(FULL)
    if "Cannot allocate memory" in ran.complained and ran.code:
        raise Refused(TOO_BIG)
    if "matches no streams" in ran.complained:
        raise Refused(NO_PICTURES)
    endured(ran)
    return ran
