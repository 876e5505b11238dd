"""Workers: which processes run handlers, and since when we have not heard of them; and the queues they work on."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.decorators import display

from notifications import marks
from notifications.admin.pressed import by
from notifications.admin.readonly import ReadOnlyAdmin, Tabs
from notifications.admin.subjects import named
from notifications.context import forget_health
from notifications.pipeline import queues
from notifications.pipeline.models import Delivery, Worker


class WorkerTabs(Tabs):
    tabs = {"here": "Not stopped", "all": "All"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Worker]) -> QuerySet[Worker]:
        return queryset.filter(stopped_at=None) if self.chosen == "here" else queryset


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("process", "alive", "beat", "says", "works_on", "started", "stopped")
    list_filter = (WorkerTabs,)
    search_fields = ("host", "=pid")
    ordering = ("-beat_at",)
    page_template = "notifications/admin/worker.html"
    list_before_template = "notifications/admin/queues.html"

    def get_urls(self) -> list[URLPattern]:
        pressed = self.admin_site.admin_view(require_POST(self.queue_view))
        return [path("queues/", pressed, name="notifications_worker_queue"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        loads = queues.loads()
        shown = {
            "queues": loads,
            "names": named(load.paused_by for load in loads if load.paused_by),
            "may_change_queues": self.has_queue_permission(request),
            "most_at_once": queues.MOST_AT_ONCE,
        }
        return super().changelist_view(request, shown | (extra_context or {}))

    def has_queue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.change_queue")

    def queue_view(self, request: HttpRequest) -> HttpResponse:
        """Pause a queue, let it go on, or say how many of it run at once."""
        if not self.has_queue_permission(request):
            raise PermissionDenied
        name, button, typed = (request.POST.get(field, "").strip() for field in ("queue", "do", "at_once"))
        try:
            said = _press(button, name, typed, by=by(request))
        except (queues.UnknownQueue, ValueError) as problem:
            self.message_user(request, f"Nothing was changed: {problem}", messages.ERROR)
        else:
            self.message_user(request, said, messages.SUCCESS)
            forget_health()
        return redirect("admin:notifications_worker_changelist")

    def page(self, request: HttpRequest, row: Worker) -> dict[str, Any]:
        return {"running": list(Delivery.objects.running().filter(worker=row).select_related("event"))}

    @display(description="process", ordering="pid")
    def process(self, row: Worker) -> str:
        return str(row)

    @display(description="alive?", ordering="stopped_at")
    def alive(self, row: Worker) -> SafeString:
        return marks.worker_badge(row)

    @display(description="last heard of", ordering="beat_at")
    def beat(self, row: Worker) -> SafeString:
        return marks.ago(row.beat_at)

    @display(description="says")
    def says(self, row: Worker) -> str:
        return marks.note_in_words(row.note)

    @display(description="queues", ordering="queues")
    def works_on(self, row: Worker) -> str:
        return row.queues.replace(",", ", ")

    @display(description="started", ordering="started_at")
    def started(self, row: Worker) -> SafeString:
        return marks.ago(row.started_at)

    @display(description="stopped", ordering="stopped_at")
    def stopped(self, row: Worker) -> SafeString:
        return marks.ago(row.stopped_at)


def _press(button: str, name: str, typed: str, *, by: str) -> str:
    if button == "pause":
        queues.pause(name, by=by)
        return f"{name} is paused. Its deliveries wait, and lose no try by it."
    if button == "resume":
        return f"{name} goes on." if queues.resume(name, by=by) else f"{name} was not paused."
    if button != "limit":
        raise ValueError(f"there is no button {button or 'without a name'}.")
    if typed and not typed.isdecimal():
        raise ValueError(f"at once: a number from 1 to {queues.MOST_AT_ONCE}, or none, not {typed[:20]}")
    queues.limit(name, int(typed) if typed else None, by=by)
    return f"{typed} of {name} run at once." if typed else f"{name} has no limit any more."
