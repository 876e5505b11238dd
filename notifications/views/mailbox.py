"""The local mailbox in the browser: /mailbox/. In production it does not exist."""

from collections.abc import Callable
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from notifications.mail import mailbox

View = Callable[..., HttpResponse]

MOST_SHOWN: Final = 200
# A letter may hold anything: it gets no script, no form and no request of its own. A link may open a
# window, as in any mail reader.
LETTER_SANDBOX: Final = "allow-popups allow-popups-to-escape-sandbox"
LETTER_POLICY: Final = (
    f"sandbox {LETTER_SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)


def local_only(view: View) -> View:
    """Answer 404 unless the shop is a local one."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.LOCAL:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@require_safe
@local_only
@never_cache
def letters(request: HttpRequest) -> HttpResponse:
    """The newest letters first; `?to=` keeps those to an address with that text in it."""
    to = request.GET.get("to", "")
    found = mailbox.mails(_folder(), to=to)
    context = {
        "mails": list(islice(found, MOST_SHOWN)),
        "more": next(found, None) is not None,
        "most": MOST_SHOWN,
        "to": to,
        "smtp": f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}",
    }
    return render(request, "notifications/mailbox.html", context)


@require_safe
@local_only
def letter(request: HttpRequest, name: str) -> HttpResponse:
    """One letter: its HTML in a frame of its own, its text, its headers, and the file as received."""
    path = _path(name)
    message = mailbox.read(path)
    context = {
        "name": name,
        "mail": mailbox.summary(path),
        "at": mailbox.received_at(name),
        "has_html": bool(mailbox.part(message, "html")),
        "text": mailbox.part(message, "plain"),
        "headers": mailbox.headers(message),
        "raw": path.read_bytes().decode(errors="replace"),
        "sandbox": LETTER_SANDBOX,
    }
    return render(request, "notifications/mailbox_letter.html", context)


@require_safe
@local_only
@xframe_options_sameorigin
def letter_html(_request: HttpRequest, name: str) -> HttpResponse:
    """The HTML part alone, locked in by its own policy, wherever it is opened."""
    html = mailbox.part(mailbox.read(_path(name)), "html")
    # Links leave the frame, which may show nothing but this letter.
    html = html.replace("<head>", '<head><base target="_blank">', 1)
    return HttpResponse(html, headers={"Content-Security-Policy": LETTER_POLICY})


def _folder() -> Path:
    return Path(settings.WAYBILL_DATA) / "mailbox"


def _path(name: str) -> Path:
    path = mailbox.find(_folder(), name)
    if path is None:
        raise Http404("No such letter.")
    return path
