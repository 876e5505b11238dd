"""Pictures and films made by us, jail and all, against the bare libraries: `python -m config.bench.media COUNT`.

Each in a process of its own, in turns, the same sizes at the same quality. Prints JSON. Its environment has pyvips.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import django
from PIL import Image

from config.bench import bare_media

ROUNDS: Final = 3  # medians of so many, in turns
SECONDS: Final = 60  # of the film
LOOK_EVERY: Final = 0.01


class Watch:
    """The most memory that any one descendant of this process has held. Linux only; 0 elsewhere."""

    def __init__(self) -> None:
        self.peak, self._ended = 0, threading.Event()

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            self.peak = max([self.peak, *map(held_by, children_of("self"))])


def children_of(pid: str) -> Iterator[str]:
    try:
        listed = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return
    for child in " ".join(listed).split():
        yield child
        yield from children_of(child)


def held_by(pid: str) -> int:
    """Bytes, at the highest; 0 for a process that is gone, or is still the copy of this one."""
    try:
        if Path(f"/proc/{pid}/cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes():
            return 0
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def measure(count: int, folder: Path) -> dict[str, Any]:
    """seconds: medians. renditions: a second. peak: bytes."""
    ordinary, large = _photograph(folder, 1600, 1200), _photograph(folder, 6000, 4000)
    many = {name: partial(way, ordinary, folder, count) for name, way in _WAYS.items()}
    one = {name: partial(way, large, folder, 1) for name, way in _WAYS.items()}
    film = _film(folder)
    films = {"ours": partial(_our_film, film, folder), "bare ffmpeg": partial(_bare_film, film, folder)}
    made = count * len(bare_media.SIZES) * len(bare_media.FORMATS)
    facts = {name: seen | {"renditions": made / seen["seconds"]} for name, seen in _in_turns(many).items()}
    return {"count": count, "ordinary": facts, "of_24_mp": _in_turns(one), "film": _in_turns(films)}


def _in_turns(ways: dict[str, partial[None]]) -> dict[str, dict[str, float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    peaks = dict.fromkeys(ways, 0)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            with Watch() as watch:
                began = time.perf_counter()
                way()
                took[name].append(time.perf_counter() - began)
            peaks[name] = max(peaks[name], watch.peak)
    return {name: {"seconds": statistics.median(took[name]), "peak": peaks[name]} for name in ways}


def _ours(source: Path, folder: Path, count: int) -> None:
    from uploads.decoding import pictured

    for _ in range(count):
        with _work(folder) as work:
            pictured(source, work, format="jpeg")


def _bare(library: str) -> Callable[[Path, Path, int], None]:
    def run(source: Path, folder: Path, count: int) -> None:
        with _work(folder) as work:
            argv = [sys.executable, bare_media.__file__, library, str(source), str(work), str(count)]
            subprocess.run(argv, check=True)  # noqa: S603

    return run


_WAYS: Final = {"ours": _ours, "bare Pillow": _bare("pillow"), "bare libvips": _bare("libvips")}


def _our_film(film: Path, folder: Path) -> None:
    from uploads.filming import filmed

    with _work(folder) as work:
        filmed(film, work, format="mov", hear=lambda _: None)


def _bare_film(film: Path, folder: Path) -> None:
    """The same command line, with no jail around it, and nobody who looks before or after."""
    from uploads.filming import ffmpeg
    from uploads.media.films import transcode

    with _work(folder) as work:
        argv = transcode(ffmpeg(), film, format="mov", names=("480p", "720p"))
        quiet = subprocess.DEVNULL
        subprocess.run(argv, cwd=work, stdin=quiet, stdout=quiet, stderr=quiet, check=True)  # noqa: S603


@contextmanager
def _work(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        yield Path(work)


def _photograph(folder: Path, width: int, height: int) -> Path:
    """Coarse noise, blown up: as hard to encode as leaves and water."""
    coarse = [Image.effect_noise((width // 8, height // 8), spread) for spread in (40, 60, 80)]
    path = folder / f"{width}.jpg"
    Image.merge("RGB", coarse).resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def _film(folder: Path) -> Path:
    from uploads.filming import ffmpeg

    path = folder / "film.mp4"
    drawn = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-f", "lavfi", "-i", "sine=frequency=440"]
    options = ["-t", str(SECONDS), "-pix_fmt", "yuv420p", "-preset", "veryfast"]
    subprocess.run([ffmpeg(), "-loglevel", "error", *drawn, *options, path], check=True)  # noqa: S603
    return path


def main() -> None:
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(int(float(sys.argv[1])), Path(folder))))  # noqa: T201


if __name__ == "__main__":
    main()
