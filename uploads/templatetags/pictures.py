"""Renditions in templates: `{% picture upload alt="A red mug" sizes="50vw" %}`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import template

from uploads.addresses import address
from uploads.models import Avatar, Rendition, Upload

register = template.Library()

MODERN = ("avif", "webp")  # the first that a browser knows; JPEG or PNG for all others


@dataclass(frozen=True, kw_only=True)
class _Source:
    type: str
    srcset: str


@register.inclusion_tag("uploads/_picture.html")
def picture(upload: Upload, *, alt: str, sizes: str = "100vw", eager: bool = False) -> dict[str, Any]:
    """The picture in the size that fits, in the smallest format. Nothing while it is not ready.

    sizes: as in HTML, how wide it is shown. Reads `upload.renditions`: prefetch them where there are many.
    """
    pictures = _pictures(upload)
    plain = [one for one in pictures if one.format not in MODERN]
    return {
        "alt": alt,
        "sizes": sizes,
        "eager": eager,
        "sources": [_Source(type=f"image/{name}", srcset=_srcset(pictures, name)) for name in MODERN],
        "plain": plain[-1] if plain else None,
        "src": address(plain[-1]) if plain else "",
        "srcset": _srcset(pictures, plain[-1].format) if plain else "",
    }


@register.inclusion_tag("uploads/_film.html")
def film(upload: Upload, *, alt: str) -> dict[str, Any]:
    """The video with its player. Nothing while it is not ready."""
    pictures = _pictures(upload)
    films = sorted((one for one in upload.renditions.all() if one.format == "mp4"), key=lambda one: -one.width)
    poster = [one for one in pictures if one.format not in MODERN]
    return {
        "alt": alt,
        "films": [(one, address(one)) for one in films],
        "poster": address(poster[-1]) if poster else "",
    }


@register.inclusion_tag("uploads/_avatar.html")
def avatar(user: Any) -> dict[str, Any]:
    """The picture of a person, small and round; their first letter while there is none."""
    chosen = Avatar.objects.filter(owner=user).select_related("upload").prefetch_related("upload__renditions").first()
    return {"upload": chosen.upload if chosen else None, "letter": str(user)[:1].upper()}


@register.simple_tag
def large(upload: Upload) -> str:
    """Where its largest picture is."""
    pictures = [one for one in _pictures(upload) if one.format not in MODERN]
    return address(pictures[-1]) if pictures else ""


def _pictures(upload: Upload) -> list[Rendition]:
    """The smallest first."""
    if upload.status != Upload.Status.READY:
        return []
    return sorted((one for one in upload.renditions.all() if one.format != "mp4"), key=lambda one: one.width)


def _srcset(pictures: Sequence[Rendition], format: str) -> str:
    """Each width once: of a small picture, several sizes are the same."""
    widths = {one.width: one for one in pictures if one.format == format}
    return ", ".join(f"{address(one)} {width}w" for width, one in widths.items())
