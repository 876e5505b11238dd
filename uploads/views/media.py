"""Renditions for whoever has a signed address; parts of them for players that jump about."""

import re
from dataclasses import dataclass
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from uploads import storage
from uploads.addresses import NotSigned, seconds_left
from uploads.models import Rendition

TYPES: Final = {
    "webp": "image/webp",
    "avif": "image/avif",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "mp4": "video/mp4",
}
# One part and no more; what asks for several gets the whole.
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class _Part:
    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class _Beyond(Exception):
    """The part that was asked for is not in the file."""


@require_safe
def media(request: HttpRequest, until: str, signature: str, path: str) -> HttpResponseBase:
    try:
        left = seconds_left(path, until=int(until), signature=signature)
    except NotSigned as no:
        raise Http404 from no
    rendition = get_object_or_404(Rendition.objects.select_related("upload"), path=path)
    answer = _answer(request, rendition)
    for name, value in _headers(rendition).items():
        answer[name] = value
    answer["Cache-Control"] = f"private, max-age={left}, immutable"
    return answer


def _answer(request: HttpRequest, rendition: Rendition) -> HttpResponseBase:
    if request.headers.get("If-None-Match") == _tag(rendition):
        return HttpResponse(status=304)
    try:
        part = _part(request, rendition)
    except _Beyond:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{rendition.bytes}"})
    whole = part.length == rendition.bytes
    headers = {} if whole else {"Content-Range": f"bytes {part.first}-{part.last}/{rendition.bytes}"}
    headers["Content-Length"] = str(part.length)
    content = [] if request.method == "HEAD" else storage.parts(rendition.path, part.first, part.last)
    return StreamingHttpResponse(content, status=200 if whole else 206, headers=headers)


def _part(request: HttpRequest, rendition: Rendition) -> _Part:
    """What is asked for. Raises _Beyond."""
    all_of_it = _Part(0, rendition.bytes - 1)
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked[0] == "bytes=-" or request.headers.get("If-Range", _tag(rendition)) != _tag(rendition):
        return all_of_it
    first, last = asked[1], asked[2]
    if not first:  # so many from the end
        part = _Part(max(0, rendition.bytes - int(last)), all_of_it.last)
    else:
        part = _Part(int(first), min(int(last), all_of_it.last) if last else all_of_it.last)
    if part.length <= 0:
        raise _Beyond
    return part


def _headers(rendition: Rendition) -> dict[str, str]:
    stem = rendition.upload.name.rpartition(".")[0] or "file"
    name = content_disposition_header(as_attachment=False, filename=f"{stem}-{rendition.name}.{rendition.format}")
    return {
        "Content-Type": TYPES[rendition.format],
        "Content-Disposition": name or "inline",
        # We encoded it ourselves; if that was in vain, it still is no page of ours.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        "ETag": _tag(rendition),
    }


def _tag(rendition: Rendition) -> str:
    return f'"{rendition.path.rpartition("/")[2]}"'  # what lies under a name never changes
