"""/newsletter/…: the links in letters. Following one asks; pressing the button, or a mail program's one click, acts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from notifications.campaigns import mailing_list
from notifications.campaigns.models import Subscriber


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """A link alone is no yes: scanners of mail follow every one."""
    subscriber, said = get_object_or_404(Subscriber, token=token), ""
    if request.method == "POST":
        said = "confirmed" if mailing_list.confirm(subscriber) else "late"
    return render(request, "notifications/newsletter.html", {"subscriber": subscriber, "said": said})


@csrf_exempt  # a mail program presses it without having seen a page of ours; the token is the right to do so
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def leave(request: HttpRequest, token: str) -> HttpResponse:
    subscriber, said = get_object_or_404(Subscriber, token=token), ""
    if request.method == "POST":
        mailing_list.leave(subscriber)
        said = "left"
    return render(request, "notifications/newsletter.html", {"subscriber": subscriber, "said": said, "leaving": True})
