"""/newsletter/: asking for it, and the links in letters. Following one asks; pressing the button, or a mail program's
one click, acts."""

from django import forms
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from notifications import correlation
from notifications.campaigns import mailing_list
from notifications.campaigns.models import Subscriber

ASKED_AN_HOUR = 20  # by one visitor, for whatever addresses


class JoinForm(forms.Form):
    email = forms.EmailField(
        label=gettext_lazy("E-mail address"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def join(request: HttpRequest) -> HttpResponse:
    """The answer is the same for every address."""
    form, said = JoinForm(request.POST or None), ""
    if request.method == "POST" and form.is_valid():
        said = "asked"
        if not _too_often():
            with transaction.atomic():
                mailing_list.join(email=form.cleaned_data["email"])
    return render(request, "notifications/newsletter_join.html", {"form": form, "said": said})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def confirm(request: HttpRequest, answer: str) -> HttpResponse:
    """A link alone is no yes: scanners of mail follow every one."""
    subscriber = mailing_list.asked(answer)
    said = "" if subscriber else "late"
    if subscriber and request.method == "POST":
        mailing_list.confirm(subscriber)
        said = "confirmed"
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


def _too_often() -> bool:
    """Each question takes a place, which is free again an hour later. Of several at once one gets it: incr() of a
    cache in the database would count them as one, and forget the hour."""
    places = [f"newsletter:{correlation.address()}:{n}" for n in range(ASKED_AN_HOUR)]
    taken = cache.get_many(places)
    return not any(cache.add(place, 1, timeout=3600) for place in places if place not in taken)
