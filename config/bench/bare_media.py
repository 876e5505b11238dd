"""The sizes that we make, made with nothing around them: `python bare_media.py LIBRARY SOURCE FOLDER COUNT`."""

import sys
from pathlib import Path
from typing import Final

from PIL import Image

# Ours; tests compare them. This script imports nothing of ours, to start as fast as it can.
SIZES: Final = {"large": 1920, "medium": 960, "small": 480, "thumb": 240}
FORMATS: Final = ("webp", "avif", "jpeg")
PILLOW: Final = {
    "webp": {"quality": 78, "method": 3},
    "avif": {"quality": 60, "speed": 9, "max_threads": 1},
    "jpeg": {"quality": 82, "optimize": True, "progressive": True},
}
LIBVIPS: Final = {
    "webp": {"Q": 78, "effort": 3},
    "avif": {"Q": 60, "effort": 0},  # nine less the speed
    "jpeg": {"Q": 82, "optimize_coding": True, "interlace": True},
}


def with_pillow(source: Path, folder: Path) -> None:
    with Image.open(source) as image:
        image.draft("RGB", (SIZES["large"], SIZES["large"]))
        for name, side in SIZES.items():
            image.thumbnail((side, side))
            for form in FORMATS:
                image.save(folder / f"{name}.{form}", **PILLOW[form])  # type: ignore[arg-type]


def with_libvips(source: Path, folder: Path) -> None:
    import pyvips

    for name, side in SIZES.items():
        image = pyvips.Image.thumbnail(str(source), side, height=side).copy_memory()
        for form in FORMATS:
            image.write_to_file(str(folder / f"{name}.{form}"), keep="none", **LIBVIPS[form])


def main() -> None:
    library, source, folder, count = sys.argv[1:]
    way = {"pillow": with_pillow, "libvips": with_libvips}[library]
    for _ in range(int(count)):
        way(Path(source), Path(folder))


if __name__ == "__main__":
    main()
