"""Deciding about many failures at once: the groups on top of the page Failures, and the buttons there."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone

from notifications.admin.pressed import asked_from
from notifications.context import forget_health
from notifications.pipeline import brakes, bulk, deadletters
from notifications.pipeline.decisions import NotWaiting
from notifications.pipeline.events import subscriptions
from notifications.pipeline.models import Brake, BulkDecision

SHOWN = 5  # decisions, the latest
UNDONE_WITHIN = timedelta(days=7)  # the button is offered for so long


def facts(*, may_decide: bool) -> dict[str, Any]:
    """What the page shows above its list: who is held back, groups of at least two, the latest decisions."""
    groups = [group for group in deadletters.groups() if group.count > 1]
    latest = list(BulkDecision.objects.select_related("undone_by").order_by("-pk")[:SHOWN])
    running = any(job.state == BulkDecision.State.RUNNING for job in latest)
    worth_showing = groups or running or any(may_undo(job) for job in latest)
    for job in latest:
        job.may_undo = may_undo(job)  # type: ignore[attr-defined]
    held = Brake.objects.holding(timezone.now()).order_by("handler")
    return {
        "groups": groups,
        "held": list(held),
        "decisions": latest if worth_showing else [],
        "may_decide": may_decide,
    }


def may_undo(job: BulkDecision) -> bool:
    """Whether it gave up many, is over, and nobody has taken that back."""
    over = job.action == BulkDecision.Action.DISCARD and job.state != BulkDecision.State.RUNNING
    return over and not hasattr(job, "undone_by") and timezone.now() - job.started_at < UNDONE_WITHIN


def decide(request: HttpRequest, *, by: str) -> HttpResponse:
    """One of a group's buttons: "canary" tries one first, "retry" all, "discard" needs a reason."""
    asked, reason = request.POST.get("decision", ""), request.POST.get("reason", "").strip()[:200]
    handler, fingerprint = request.POST.get("handler", ""), request.POST.get("fingerprint", "")
    page = redirect(reverse("admin:notifications_failure_changelist"))
    if asked not in ("canary", "retry", "discard") or not (handler and fingerprint):
        messages.error(request, "Nothing was decided: choose a group and what is to be done with it.")
        return page
    if asked == "discard" and not reason:
        messages.error(request, "Nothing was discarded: give a reason first.")
        return page
    action = BulkDecision.Action.DISCARD if asked == "discard" else BulkDecision.Action.RETRY
    job = bulk.decide(
        action=action, by=by, handler=handler, fingerprint=fingerprint, reason=reason, canary=asked == "canary"
    )
    words = {
        "canary": f"One is tried first; the other {max(job.total - 1, 0)} follow when it has worked.",
        "retry": f"{job.total} will be tried again, ten a second.",
        "discard": f"{job.total} will be discarded.",
    }
    messages.success(request, words[asked])
    forget_health()
    return page


def hold(request: HttpRequest, *, by: str) -> HttpResponse:
    """Pause a handler, or let it go on."""
    handler, wanted = request.POST.get("handler", ""), request.POST.get("brake", "")
    if handler not in subscriptions or wanted not in ("pause", "resume"):
        messages.error(request, "Nothing was changed: there is no such handler.")
    elif wanted == "pause":
        brakes.pause(handler, by=by, reason=request.POST.get("reason", "").strip())
        messages.success(request, f"{handler} is paused. Its deliveries wait, and lose no try by it.")
    elif brakes.resume(handler, by=by):
        messages.success(request, f"{handler} goes on.")
    else:
        messages.warning(request, f"Nothing held {handler} back.")
    forget_health()
    return redirect(asked_from(request) or reverse("admin:notifications_failure_changelist"))


def undo(request: HttpRequest, pk: int, *, by: str) -> HttpResponse:
    job = get_object_or_404(BulkDecision, pk=pk)
    try:
        taken_back = bulk.undo(job, by=by)
    except NotWaiting as late:
        messages.warning(request, f"{late}.")
    else:
        messages.success(request, f"{taken_back.total} are taken back, ten a second.")
        forget_health()
    return redirect(reverse("admin:notifications_failure_changelist"))


def stop(request: HttpRequest, pk: int, *, by: str) -> HttpResponse:
    job = get_object_or_404(BulkDecision, pk=pk)
    if bulk.stop(job, by=by):
        messages.success(request, "Stopped. What was decided before that stays.")
    else:
        messages.warning(request, "It had come to its end already.")
    return redirect(reverse("admin:notifications_failure_changelist"))
