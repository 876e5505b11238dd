"""Workers: which processes run handlers, and since when we have not heard of them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from notifications import marks
from notifications.admin.readonly import ReadOnlyAdmin, Tabs
from notifications.pipeline.models import Delivery, Worker


class WorkerTabs(Tabs):
    tabs = {"here": "Not stopped", "all": "All"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Worker]) -> QuerySet[Worker]:
        return queryset.filter(stopped_at=None) if self.chosen == "here" else queryset


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("process", "alive", "beat", "says", "queues", "started", "stopped")
    list_filter = (WorkerTabs,)
    search_fields = ("host", "=pid")
    ordering = ("-beat_at",)
    page_template = "notifications/admin/worker.html"

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

    @display(description="started", ordering="started_at")
    def started(self, row: Worker) -> SafeString:
        return marks.ago(row.started_at)

    @display(description="stopped", ordering="stopped_at")
    def stopped(self, row: Worker) -> SafeString:
        return marks.ago(row.stopped_at)
