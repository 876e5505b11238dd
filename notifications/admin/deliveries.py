"""Deliveries: each event for each handler, and how it went."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from notifications import marks
from notifications.admin.readonly import NamingAdmin, Tabs
from notifications.admin.subjects import named
from notifications.admin.traces import blocks
from notifications.admin.trail import trail
from notifications.pipeline import ordering
from notifications.pipeline.events import subscriptions
from notifications.pipeline.models import Attempt, Delivery


class HandlerFilter(admin.SimpleListFilter):
    """By handler, from the registry: asking the table for its distinct handlers would read all of it."""

    title = "handler"
    parameter_name = "handler"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(handler, handler) for handler in sorted(subscriptions)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset.filter(handler=self.value()) if self.value() else queryset


class QueueFilter(admin.SimpleListFilter):
    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(queue, queue) for queue in sorted({found.queue for found in subscriptions.values()})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset.filter(queue=self.value()) if self.value() else queryset


class DeliveryTabs(Tabs):
    tabs = {"all": "All", "open": "Open", "done": "Done", "dead": "Dead", "discarded": "Discarded"}
    states: ClassVar[dict[str, list[str]]] = {
        "open": ["ready", "running", "waiting"],
        "done": ["done"],
        "dead": ["dead"],
        "discarded": ["cancelled"],
    }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset.filter(state__in=self.states[self.chosen]) if self.chosen in self.states else queryset


class DeliveryPages(NamingAdmin):
    """What the lists and pages of Deliveries and of Failures have in common."""

    list_select_related = ("event",)
    search_fields = ("handler", "event__name", "event__subject", "event__correlation_id", "last_error")
    search_help_text = "Handler, event, “order:17”, correlation id, error"
    page_template = "notifications/admin/delivery.html"

    def subject_of(self, row: Delivery) -> str:
        return row.event.subject

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("event", "worker")

    def page(self, request: HttpRequest, row: Delivery) -> dict[str, Any]:
        events = trail(row.event.correlation_id)
        attempts = list(row.attempts.select_related("worker").order_by("-pk"))
        return {
            "attempts": attempts,
            "ahead": ordering.ahead_of(row),
            "behind": ordering.behind(row),
            "blocks": blocks(_last_traceback(attempts)),
            "trail": events,
            "names": named(_references(row, events)),
            "decisions": list(reversed(row.resolution or [])),
            "may_see_failure": request.user.has_perm("notifications.view_failure"),
        }

    @display(description="state", ordering="state")
    def state_mark(self, row: Delivery) -> SafeString:
        return marks.state_badge(row)

    @display(description="event", ordering="event__name")
    def event_name(self, row: Delivery) -> str:
        return row.event.name

    @display(description="about")
    def about(self, row: Any) -> Any:
        return row.about

    @display(description="tries", ordering="attempt")
    def tried(self, row: Delivery) -> str:
        return marks.tries(row)

    @display(description="next try", ordering="available_at")
    def next_try(self, row: Delivery) -> SafeString | str:
        return marks.next_try(row)


def _last_traceback(attempts: list[Attempt]) -> str:
    return next((attempt.traceback for attempt in attempts if attempt.traceback), "")


def _references(row: Delivery, events: Any) -> set[str]:
    people = {decision["by"] for decision in row.resolution or []} | {event.actor for event in events}
    return {row.event.subject, row.event.actor} | people | {event.subject for event in events}


@admin.register(Delivery)
class DeliveryAdmin(DeliveryPages):
    list_display = ("title", "state_mark", "event_name", "about", "tried", "next_try", "created")
    list_filter = (DeliveryTabs, HandlerFilter, QueueFilter)
    ordering = ("-id",)

    @display(description="handler", ordering="handler")
    def title(self, row: Delivery) -> str:
        return row.handler

    @display(description="created", ordering="id")
    def created(self, row: Delivery) -> SafeString:
        return marks.ago(row.created_at)
