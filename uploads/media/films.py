"""ffmpeg's command lines, and what it says. Pure: nothing here runs anything."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from uploads.limits import LONGEST_VIDEO

DEMUXERS: Final = {"mov": "mov", "webm": "matroska"}  # what we sniffed decides; ffmpeg does not get to guess
HEIGHTS: Final = {"480p": 480, "720p": 720}  # of the shorter side
FASTEST: Final = 30  # frames a second of what we make
BITRATES: Final = {"480p": ("1200k", "2400k"), "720p": ("2500k", "5000k")}  # most, and over how much it is spread
# Decoders that telephones and cameras need. ffmpeg knows hundreds, and few of them were ever looked at twice.
DECODERS: Final = (
    "h264,hevc,vp8,vp9,av1,libdav1d,mpeg4,mjpeg,prores,"
    "aac,mp3,mp3float,opus,vorbis,alac,ac3,eac3,flac,pcm_s16le,pcm_s16be,pcm_s24le,pcm_f32le,pcm_alaw,pcm_mulaw"
)
_COMMON: Final = ("-hide_banner", "-nostdin", "-nostats", "-stats_period", "0.2", "-y", "-loglevel", "info")
_COPY: Final = ("-map", "0:V:0", "-c", "copy")
_STREAM: Final = re.compile(r"^  Stream #0:\d+\S*: Video: .*?[ ,](\d{1,6})x(\d{1,6})[ ,\n]", re.MULTILINE)
_WIDE: Final = "clip(sar,0.25,4)"  # pixels that are not square become it, within reason


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far ffmpeg is: milliseconds of the film, and frames."""

    ms: int
    frames: int


def look(ffmpeg: str, source: Path, *, format: str) -> list[str]:
    """Read all of it without decoding: how long it is, and how many frames, is counted and not believed."""
    return [ffmpeg, *_COMMON, "-progress", "pipe:1", *_input(source, format), *_COPY, "-f", "null", "-"]


def frame_sizes(complained: str) -> list[tuple[int, int]]:
    """Width and height of each stream of pictures that ffmpeg names in its log."""
    return [(int(width), int(height)) for width, height in _STREAM.findall(complained)]


def progress(said: bytes) -> Progress:
    """The last word in ffmpeg's -progress output."""
    times = re.findall(rb"^out_time_us=(\d+)", said, re.MULTILINE)
    frames = re.findall(rb"^frame=(\d+)", said, re.MULTILINE)
    return Progress(ms=int(times[-1]) // 1000 if times else 0, frames=int(frames[-1]) if frames else 0)


def sizes_for(width: int, height: int) -> tuple[str, ...]:
    """Which of ours are made of a film of this size: none is blown up, and there is always one."""
    short = min(width, height)
    return tuple(name for name, side in HEIGHTS.items() if name == "480p" or short > HEIGHTS["480p"])


def transcode(ffmpeg: str, source: Path, *, format: str, names: Sequence[str]) -> list[str]:
    """All of `names`, decoded once: NAME.mp4 each, in the working folder."""
    argv = [ffmpeg, *_COMMON, "-progress", "pipe:1", *_input(source, format), "-filter_complex", _filters(names)]
    for name in names:
        argv += ["-map", f"[{name}]", "-map", "0:a:0?", *_encoded(name), f"{name}.mp4"]
    return argv


def _filters(names: Sequence[str]) -> str:
    split = "".join(f"[in{name}]" for name in names)
    parts = [f"[0:V:0]scale=w='iw*{_WIDE}':h=ih:flags=fast_bilinear,setsar=1,split={len(names)}{split}"]
    for name in names:
        most = HEIGHTS[name]
        # The shorter side is `most` at the most, both are even, and neither is nothing.
        factor = f"min(1,{most}/min(iw,ih))"
        size = f"w='max(2,trunc(iw*{factor}/2)*2)':h='max(2,trunc(ih*{factor}/2)*2)'"
        parts.append(f"[in{name}]scale={size},format=yuv420p[{name}]")
    return ";".join(parts)


def _encoded(name: str) -> list[str]:
    rate, buffer = BITRATES[name]
    return [
        *f"-c:v libx264 -preset veryfast -crf 23 -maxrate {rate} -bufsize {buffer} -fpsmax {FASTEST}".split(),
        *["-profile:v", "high", "-threads", "1", "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "44100"],
        *f"-t {LONGEST_VIDEO} -sn -dn -map_metadata -1 -map_chapters -1 -movflags +faststart -f mp4".split(),
    ]


def poster(ffmpeg: str, source: Path, *, at_ms: int) -> list[str]:
    """One frame of a film that we made ourselves: poster.png."""
    seek, one = ["-ss", f"{at_ms / 1000:.3f}"], ["-map", "0:V:0", "-frames:v", "1", "-f", "image2"]
    return [ffmpeg, *_COMMON, *seek, *_input(source, "mov"), *one, "poster.png"]


def own(ffmpeg: str, source: Path) -> list[str]:
    """What ffmpeg says of a film that we made: its size is in the log."""
    return [ffmpeg, *_COMMON, *_input(source, "mov"), *_COPY, "-frames:v", "1", "-f", "null", "-"]


def _input(source: Path, format: str) -> list[str]:
    only = ["-protocol_whitelist", "file,pipe", "-format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"]
    return [*only, "-codec_whitelist", DECODERS, "-threads", "1", "-f", DEMUXERS[format], "-i", f"file:{source}"]
