"""A picture into sizes that are safe to show: decoded, set upright, in sRGB, encoded anew, without a word about it.

Pure functions over Pillow, and a script: `python -I pictures.py JOB`, in a jail of its own, prints JSON. It imports
nothing of ours, so that it starts in a tenth of a second.
"""

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

SIZES: Final = {"large": 1920, "medium": 960, "small": 480, "thumb": 240}  # longest side, each made from the one before
STRIP: Final = 64  # rows of the result that are reduced at once: a second copy of the whole would not fit
UPRIGHT: Final = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF's orientations as Pillow's transpositions
FORMATS_EACH: Final = 3
ORIENTATION: Final = 0x0112
OUR_FAULT: Final = 70
# AVIF at speed 8 takes four times as long, for files that are one percent smaller.
ENCODED: Final[dict[str, dict[str, Any]]] = {
    "webp": {"format": "WEBP", "quality": 78, "method": 3},
    "avif": {"format": "AVIF", "quality": 60, "speed": 9, "max_threads": 1},
    "jpeg": {"format": "JPEG", "quality": 82, "optimize": True, "progressive": True},
    "png": {"format": "PNG"},
}


class Refused(Exception):
    """The file cannot be shown; the message says why, for a person."""


UNREADABLE: Final = "We could not read this file: it is damaged, or not what it says it is."
TOO_BIG: Final = "This picture needs more memory than we give to one."


def renditions(job: Mapping[str, Any], *, tell: Callable[[float], object] = float) -> dict[str, Any]:
    """Write all sizes of a picture.

    job: the path of its source, the folder that is its target, its format, and its limits: pixels, side, frames. tell:
    is given how much is done, from 0 to 1. Returns its width and height as it is seen, and for each file its name,
    format, width, height and bytes. Raises Refused, or what Pillow raises for files it cannot read.
    """
    width, height, small = _decoded(Path(job["source"]), job["format"], job["limits"])
    made = []
    for facts in _written(small, Path(job["target"])):
        made.append(facts)
        tell(len(made) / (len(SIZES) * FORMATS_EACH))
    return {"width": width, "height": height, "renditions": made}


def _decoded(source: Path, format: str, limits: Mapping[str, int]) -> tuple[int, int, Any]:
    """How large it is as it is seen, and what all sizes are made from. The whole is forgotten with the return."""
    with _opened(source, format, limits) as image:
        width, height = image.size
        turned = _orientation(image)
        small = _upright(_in_srgb(_shrunk(image)), turned)
    return (height, width, small) if turned >= 5 else (width, height, small)


def _opened(source: Path, format: str, limits: Mapping[str, int]) -> Any:
    from PIL import AvifImagePlugin, Image

    Image.MAX_IMAGE_PIXELS = None  # ours are lower, and said in our words
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each thread would count against the memory
    image = Image.open(source, formats=[format.upper()])
    width, height = image.size
    if width * height > limits["pixels"]:
        words = f"{width * height / 1e6:.0f} MP ({width} × {height}); the limit for {format.upper()}"
        raise Refused(f"This picture has {words} is {limits['pixels'] / 1e6:.0f} MP.")
    if max(width, height) > limits["side"]:
        raise Refused(f"This picture is {max(width, height)} pixels long; the limit is {limits['side']}.")
    frames = getattr(image, "n_frames", 1)
    if frames > limits["frames"]:
        raise Refused(f"This animation has {frames} frames; the limit is {limits['frames']}.")
    image.seek(0)
    return image


def _orientation(image: Any) -> int:
    """One to eight; what EXIF says that cannot be read is not believed."""
    try:
        said = image.getexif().get(ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, OSError, TypeError):
        return 1
    return said if isinstance(said, int) and 1 <= said <= 8 else 1


def _shrunk(image: Any) -> Any:
    """Near the largest size, and RGB or RGBA. JPEGs are decoded small, all others strip by strip."""
    most = SIZES["large"]
    image.draft(None, (most, most))
    image.load()
    factor = max(image.size) // most
    if factor < 2:
        return _plain(image)
    width, height = (-(-side // factor) for side in image.size)
    result = None
    for top in range(0, image.height, STRIP * factor):
        strip = image.crop((0, top, image.width, min(top + STRIP * factor, image.height)))
        part = _plain(strip).reduce(factor)
        if result is None:
            result = part.resize((width, height), box=(0, 0, 1, 1))
        result.paste(part, (0, top // factor))
    return result


def _plain(image: Any) -> Any:
    """CMYK stays: its profile is still to be used."""
    if image.mode.startswith("I;16") or image.mode == "I":
        return _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode in ("RGB", "CMYK") else image.convert("RGB")


def _eight_bits(image: Any) -> Any:
    """Sixteen bits of grey are scaled: converted as they are, all but the darkest would be white."""
    return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")


def _in_srgb(image: Any) -> Any:
    """Colours as they were meant. A profile that cannot be used is dropped."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    wanted = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            return ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode=wanted
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert(wanted)


def _upright(image: Any, orientation: int) -> Any:
    from PIL import Image

    turned = image.transpose(Image.Transpose(UPRIGHT[orientation])) if orientation in UPRIGHT else image
    clean = Image.new(turned.mode, turned.size)  # holds pixels, and nothing that came with them
    clean.paste(turned)
    opaque = clean.mode == "RGBA" and clean.getchannel("A").getextrema() == (255, 255)
    return clean.convert("RGB") if opaque else clean


def _written(image: Any, target: Path) -> Iterator[dict[str, Any]]:
    from PIL import Image

    for name, side in SIZES.items():
        if max(image.size) > side:
            image = _fitted(image, side, Image.Resampling.LANCZOS)
        for format in ("webp", "avif", "png" if image.mode == "RGBA" else "jpeg"):
            path = target / f"{name}.{format}"
            image.save(path, **ENCODED[format])
            facts = {"name": name, "format": format, "width": image.width, "height": image.height}
            yield facts | {"bytes": path.stat().st_size}


def _fitted(image: Any, side: int, how: Any) -> Any:
    ratio = side / max(image.size)
    return image.resize(tuple(max(1, round(length * ratio)) for length in image.size), how)


def main(job: dict[str, Any]) -> None:
    """Says how much is done, a line each, and ends in a line of JSON: the facts, or {"refused": why}.

    What is our fault exits with 70.
    """
    try:
        from PIL import Image
    except ImportError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(OUR_FAULT)
    try:
        said = renditions(job, tell=_say)
    except Refused as why:
        said = {"refused": str(why)}
    except MemoryError:
        said = {"refused": TOO_BIG}
    except OSError as error:
        _blame(error)
        said = {"refused": UNREADABLE}
    except (ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, ArithmeticError):
        said = {"refused": UNREADABLE}
    except Image.DecompressionBombError:
        said = {"refused": TOO_BIG}
    print(json.dumps(said))  # noqa: T201


def _say(share: float) -> None:
    print(f"{share:.2f}", flush=True)  # noqa: T201


def _blame(error: OSError) -> None:
    """What the disk or the system says is not the file's fault; Pillow's own complaints carry no number."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOENT, errno.EACCES, errno.EMFILE, errno.ENFILE):
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(OUR_FAULT)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
