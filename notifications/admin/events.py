"""Events: the facts, in the order in which they were committed."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from notifications import marks
from notifications.admin.readonly import NamingAdmin
from notifications.admin.subjects import named
from notifications.admin.trail import trail
from notifications.pipeline.events import declared
from notifications.pipeline.models import Delivery, Event


class NameFilter(admin.SimpleListFilter):
    title = "name"
    parameter_name = "name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(declared)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        return queryset.filter(name=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(NamingAdmin):
    list_display = ("title", "about", "handled", "actor", "occurred", "correlation_id")
    list_filter = (NameFilter,)
    search_fields = ("name", "=subject", "=correlation_id")
    search_help_text = "Name, “order:17”, correlation id"
    ordering = ("-id",)
    page_template = "notifications/admin/event.html"

    def subject_of(self, row: Event) -> str:
        return row.subject

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return super().get_queryset(request).prefetch_related("deliveries")

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("causation").prefetch_related("deliveries", "effects")

    def page(self, request: HttpRequest, row: Event) -> dict[str, Any]:
        events = trail(row.correlation_id)
        references = {event.subject for event in events} | {event.actor for event in events} | {row.subject, row.actor}
        return {"trail": events, "names": named(references)}

    @display(description="event", ordering="name")
    def title(self, row: Event) -> str:
        return row.name

    @display(description="about", ordering="subject")
    def about(self, row: Any) -> Any:
        return row.about

    @display(description="handled")
    def handled(self, row: Event) -> SafeString | str:
        """How many of its deliveries are done; red when one of them is dead."""
        states = [delivery.state for delivery in row.deliveries.all()]
        return marks.done_of(states.count(Delivery.State.DONE), len(states), dead=Delivery.State.DEAD in states)

    @display(description="when", ordering="id")
    def occurred(self, row: Event) -> SafeString:
        return marks.ago(row.occurred_at)
