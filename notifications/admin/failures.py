"""Failures: what did not go well, why, and the buttons that decide it."""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.views.decorators.http import require_POST
from unfold.decorators import action, display

from notifications import marks
from notifications.admin import bulk
from notifications.admin.deliveries import DeliveryPages, HandlerFilter, QueueFilter
from notifications.admin.pressed import asked_from, by
from notifications.admin.readonly import Tabs
from notifications.context import current_health, forget_health
from notifications.pipeline import decisions
from notifications.pipeline.decisions import NotWaiting
from notifications.pipeline.events import BadPayload
from notifications.pipeline.failures import Failure, FailureQuerySet
from notifications.pipeline.models import Delivery, Effect

Decide = Callable[[Delivery], None]
PAUSES: Final = {
    "10m": (timedelta(minutes=10), "in 10 minutes"),
    "1h": (timedelta(hours=1), "in an hour"),
    "1d": (timedelta(days=1), "tomorrow"),
}
LONGEST_PAYLOAD: Final = 100_000  # characters


class KindFilter(admin.SimpleListFilter):
    """By what they died of. Reached from a group, so the side bar shows it only while it is on."""

    title = "kind of failure"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name, "")
        return [(chosen, "like the one you chose")] if chosen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Failure]) -> QuerySet[Failure]:
        return queryset.filter(fingerprint=self.value()) if self.value() else queryset


class FailureTabs(Tabs):
    tabs = {"all": "All", "dead": "Dead", "retrying": "Retrying"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Failure]) -> QuerySet[Failure]:
        if self.chosen == "dead":
            return queryset.filter(state=Delivery.State.DEAD)
        return queryset.exclude(state=Delivery.State.DEAD) if self.chosen == "retrying" else queryset


@admin.register(Failure)
class FailureAdmin(DeliveryPages):
    list_display = ("handler_and_event", "state_mark", "about", "error", "tried", "next_try", "since")
    list_filter = (FailureTabs, HandlerFilter, QueueFilter, KindFilter)
    # "dead" happens to come before "ready" and "running": what only a person can mend is on top.
    ordering = ("state", "-id")
    page_template = "notifications/admin/failure.html"
    list_before_template = "notifications/admin/failures_top.html"
    actions = ("retry_selected", "discard_selected")

    def get_queryset(self, request: HttpRequest) -> FailureQuerySet:
        return Failure.objects.failing()

    def get_urls(self) -> list[URLPattern]:
        pressed = [
            path("<int:pk>/retry/", self._decision(self.retry_view), name="notifications_failure_retry"),
            path("<int:pk>/correct/", self._decision(self.correct_view), name="notifications_failure_correct"),
            path("<int:pk>/discard/", self._decision(self.discard_view), name="notifications_failure_discard"),
            path("<int:pk>/undo/", self._decision(self.undo_view), name="notifications_failure_undo"),
            path("groups/decide/", self._decision(self.group_view), name="notifications_failure_group"),
            path("handlers/", self._decision(self.brake_view), name="notifications_failure_brake"),
            path("groups/<int:pk>/stop/", self._decision(self.stop_view), name="notifications_failure_stop"),
            path("groups/<int:pk>/undo/", self._decision(self.undo_many_view), name="notifications_failure_undo_many"),
        ]
        return pressed + super().get_urls()

    def _decision(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
        return self.admin_site.admin_view(require_POST(view))

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.decide_failure")

    def page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        decides, undecided = self.has_decide_permission(request), row.state in decisions.UNDECIDED["retry"]
        return super().page(request, row) | {
            "may_decide": decides and undecided,
            "may_undo": decides and decisions.may_undo(row),
            "pauses": PAUSES,
            "typed": json.dumps(decisions.readable(row), indent=2, ensure_ascii=False),
            "kept": row.effects.exclude(state=Effect.State.PLANNED).order_by("pk"),
        }

    # -- The buttons of one failure ----------------------------------------------------------

    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        found, after = self._to_decide(request, pk), request.POST.get("after", "")
        wait, words = PAUSES.get(after, (timedelta(0), "now"))
        if after and not wait:
            choices = ", ".join(PAUSES)
            self.message_user(request, f"Nothing was changed: after is one of {choices}, not {after}.", messages.ERROR)
        elif self._decide(request, found, lambda row: decisions.retry(delivery=row, by=by(request), after=wait)):
            self.message_user(request, f"{found.handler} will be tried again {words}.", messages.SUCCESS)
        return redirect(asked_from(request) or reverse("admin:notifications_failure_change", args=[pk]))

    def correct_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Another payload for this handler alone. What does not fit is said beside what was typed."""
        found, typed = self._to_decide(request, pk), request.POST.get("payload", "")
        try:
            correct = partial(decisions.correct, payload=_payload(typed), by=by(request))
            decided = self._decide(request, found, lambda row: correct(delivery=row))
        except BadPayload as problem:
            said = {"typed": typed, "problem": str(problem)}
            return self.change_view(request, str(pk), extra_context=said)
        if decided:
            self.message_user(request, f"{found.handler} will be tried with what you wrote now.", messages.SUCCESS)
        return redirect("admin:notifications_failure_change", pk)

    def discard_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        found, reason = self._to_decide(request, pk), request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, "Nothing was discarded: give a reason first.", messages.ERROR)
        elif self._decide(request, found, lambda row: decisions.discard(delivery=row, by=by(request), reason=reason)):
            self.message_user(request, f"{found.handler} was discarded and will not be tried again.", messages.SUCCESS)
        return redirect("admin:notifications_failure_change", pk)

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        found = self._to_decide(request, pk)
        if self._decide(request, found, lambda row: decisions.undo(delivery=row, by=by(request))):
            self.message_user(request, f"{found.handler} is no longer discarded.", messages.SUCCESS)
        return redirect("admin:notifications_failure_change", pk)

    def _to_decide(self, request: HttpRequest, pk: int) -> Failure:
        self._refuse_unless_deciding(request)
        return get_object_or_404(Failure, pk=pk)

    def _refuse_unless_deciding(self, request: HttpRequest) -> None:
        if not self.has_decide_permission(request):
            raise PermissionDenied

    def _decide(self, request: HttpRequest, found: Failure, decide: Decide) -> bool:
        _, refused = _each([found], decide)
        if refused:
            self.message_user(request, f"Nothing was changed. {capfirst(refused[0])}.", messages.WARNING)
        return not refused

    # -- The same for many -------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        many = bulk.facts(may_decide=self.has_decide_permission(request))
        return super().changelist_view(request, many | (extra_context or {}))

    def group_view(self, request: HttpRequest) -> HttpResponse:
        self._refuse_unless_deciding(request)
        return bulk.decide(request, by=by(request))

    def brake_view(self, request: HttpRequest) -> HttpResponse:
        self._refuse_unless_deciding(request)
        return bulk.hold(request, by=by(request))

    def undo_many_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        self._refuse_unless_deciding(request)
        return bulk.undo(request, pk, by=by(request))

    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        self._refuse_unless_deciding(request)
        return bulk.stop(request, pk, by=by(request))

    @action(description="Retry selected now", permissions=["decide"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Failure]) -> None:
        done, refused = _each(queryset, lambda row: decisions.retry(delivery=row, by=by(request)))
        self._report(request, done, "will be tried again now", refused)

    @action(description="Discard selected…", permissions=["decide"])
    def discard_selected(self, request: HttpRequest, queryset: QuerySet[Failure]) -> HttpResponse | None:
        reason = request.POST.get("reason", "").strip()
        if not reason:
            return self._ask_reason(request, queryset)
        done, refused = _each(queryset, lambda row: decisions.discard(delivery=row, by=by(request), reason=reason))
        self._report(request, done, "discarded", refused)
        return None

    def _ask_reason(self, request: HttpRequest, queryset: QuerySet[Failure]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Discard failures",
            "rows": queryset.select_related("event"),
            "asked_before": "reason" in request.POST,
            "across": request.POST.get("select_across", "0"),
            "back": reverse("admin:notifications_failure_changelist"),
        }
        return TemplateResponse(request, "notifications/admin/discard.html", context)

    def _report(self, request: HttpRequest, done: int, what: str, refused: list[str]) -> None:
        if done:
            self.message_user(request, f"{done} {what}.", messages.SUCCESS)
        if refused:
            self.message_user(request, f"{len(refused)} left alone. {capfirst('; '.join(refused))}.", messages.WARNING)

    # -- The columns -------------------------------------------------------------------------

    @display(description="what failed", ordering="handler")
    def handler_and_event(self, row: Failure) -> SafeString:
        return format_html(
            '<span class="wb-two"><strong>{}</strong> <small>{}</small></span>', row.handler, row.event.name
        )

    @display(description="error", ordering="last_error")
    def error(self, row: Failure) -> SafeString:
        return format_html('<span class="wb-error" title="{0}">{0}</span>', row.last_error)

    @display(description="since", ordering="id")
    def since(self, row: Failure) -> SafeString:
        return marks.ago(row.created_at)


def _each(rows: Iterable[Failure], decide: Decide) -> tuple[int, list[str]]:
    """Decide each; how many it did, and why not the others."""
    done, refused = 0, []
    for row in rows:
        try:
            decide(row)
            done += 1
        except NotWaiting as reason:
            refused.append(str(reason))
    forget_health()
    return done, refused


def _payload(typed: str) -> dict[str, Any]:
    if len(typed) > LONGEST_PAYLOAD:
        raise BadPayload(f"the payload has {len(typed)} characters, and {LONGEST_PAYLOAD} is the limit")
    try:
        payload = json.loads(typed, parse_constant=_refuse)
        written = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"the payload is not JSON: {error}") from error
    if rb"\u0000" in written:
        raise BadPayload("the payload has a NUL character, which no database keeps")
    if not isinstance(payload, dict):
        raise BadPayload('the payload is a JSON object, such as {"order_id": 17}')
    return payload


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def dead_count(request: HttpRequest) -> int | str:
    """The badge in the sidebar; nothing to show is better than a zero."""
    return current_health().dead or ""
