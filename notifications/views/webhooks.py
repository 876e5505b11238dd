"""/accounts/webhooks/: an owner's endpoints, what they were told, and the buttons for both."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from notifications.webhooks import calls, endpoints
from notifications.webhooks.guard import LONGEST
from notifications.webhooks.models import Call, Endpoint

SHOWN = 25  # calls on an endpoint's page
WATCHED = timedelta(seconds=30)  # so long, the page of an endpoint looks by itself whether a call has ended


class EndpointForm(forms.Form):
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=LONGEST,
        help_text=gettext_lazy("We send a POST there. It must be reachable from the internet, on port 443 or 80."),
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/hooks/waybill", "autocomplete": "off"}),
    )
    events = forms.MultipleChoiceField(label=gettext_lazy("Events"), widget=forms.CheckboxSelectMultiple)
    description = forms.CharField(label=gettext_lazy("What it is for"), max_length=100, required=False)

    def __init__(self, *args: Any, staff: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        chosen: Any = self.fields["events"]
        chosen.choices = list(endpoints.public_events(staff=staff).items())


@never_cache
@login_required
def webhooks(request: HttpRequest) -> HttpResponse:
    """The list, and the form for one more."""
    form = EndpointForm(request.POST or None, staff=_is_staff(request))
    if request.method == "POST" and form.is_valid():
        try:
            made = endpoints.open_endpoint(owner=request.user, **form.cleaned_data)
        except endpoints.Invalid as error:
            form.add_error(error.field, str(error))
        else:
            return render(request, "notifications/webhook_secret.html", {"endpoint": made})
    own = Endpoint.objects.filter(owner_id=request.user.pk).order_by("pk")
    context = {"form": form, "endpoints": own}
    return render(request, "notifications/webhooks.html", context)


@never_cache
@login_required
def webhook(request: HttpRequest, uid: UUID) -> HttpResponse:
    """One endpoint: what it was told, and its settings."""
    endpoint = _own(request, uid)
    now = {"url": endpoint.url, "events": endpoint.events, "description": endpoint.description}
    form = EndpointForm(request.POST or None, initial=now, staff=_is_staff(request))
    if request.method == "POST" and form.is_valid():
        try:
            endpoints.change(endpoint, **form.cleaned_data)
        except endpoints.Invalid as error:
            form.add_error(error.field, str(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("webhook_endpoint", endpoint.uid)
    told = list(endpoint.calls.select_related("event", "endpoint__owner").order_by("-pk")[: SHOWN + 1])
    for call in told:
        call.shown_tries = calls.tries_for(call, request.user)  # type: ignore[attr-defined]
        call.shown_body = calls.body_for(call, request.user)  # type: ignore[attr-defined]
    context = {"endpoint": endpoint, "form": form, "calls": told[:SHOWN], "more": len(told) > SHOWN}
    return render(request, "notifications/webhook.html", {**context, "busy": any(map(_is_about_to_end, told))})


@require_POST
@never_cache
@login_required
def press(request: HttpRequest, uid: UUID) -> HttpResponse:
    """The buttons of an endpoint's page."""
    endpoint, button = _own(request, uid), request.POST.get("do", "")
    try:
        if button == "rotate":
            endpoints.rotate(endpoint)
            return render(request, "notifications/webhook_secret.html", {"endpoint": endpoint})
        if button in ("enable", "disable"):
            endpoints.switch(endpoint, on=button == "enable")
    except endpoints.Invalid as error:
        messages.error(request, str(error))
        return redirect("webhook_endpoint", endpoint.uid)
    if button == "delete":
        endpoints.remove(endpoint)
        messages.success(request, _("Deleted."))
        return redirect("webhooks")
    if button in ("test", "resend"):
        _send(request, endpoint, button)
    return redirect("webhook_endpoint", endpoint.uid)


def _send(request: HttpRequest, endpoint: Endpoint, button: str) -> None:
    if endpoint.disabled_at:
        messages.error(request, _("Enable the endpoint first."))
    elif button == "test":
        endpoints.send_test(endpoint)
        messages.success(request, _("A test event is on its way."))
    else:
        call = get_object_or_404(Call, endpoint=endpoint, uid=_uuid(request.POST.get("call", "")))
        again = calls.resend(call)
        messages.success(request, _("On its way again.") if again else _("It is on its way already."))


def _own(request: HttpRequest, uid: UUID) -> Endpoint:
    return get_object_or_404(Endpoint, owner_id=request.user.pk, uid=uid)


def _is_staff(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_staff", False))


def _is_about_to_end(call: Call) -> bool:
    return call.state == Call.State.QUEUED and call.created_at > timezone.now() - WATCHED


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
