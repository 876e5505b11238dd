"""What the gateway told us by itself, as it was received."""

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from notifications.admin.audit import Watched
from notifications.admin.readonly import ReadOnlyAdmin, Tabs
from notifications.marks import ago, badge
from orders.models import GatewayEvent

_TONES: Final = {GatewayEvent.State.APPLIED: "good", GatewayEvent.State.UNMATCHED: "bad"}


class GatewayTabs(Tabs):
    tabs = {"all": "All", "applied": "Applied", "unmatched": "Unknown payment", "ignored": "Nothing to do"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[GatewayEvent]) -> QuerySet[GatewayEvent]:
        return queryset if self.chosen == "all" else queryset.filter(state=self.chosen)


@admin.register(GatewayEvent)
class GatewayEventAdmin(Watched, ReadOnlyAdmin):
    look = "gateway_event.viewed"
    list_display = ("type", "state_mark", "note", "about", "external_id", "received")
    list_filter = (GatewayTabs,)
    list_select_related = ("attempt__order",)
    search_fields = ("type", "=external_id", "=reference", "attempt__order__number")
    search_help_text = "Type, event id, reference, order number"
    ordering = ("-pk",)
    page_template = "orders/admin/gateway_event.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[GatewayEvent]:
        return super().get_queryset(request).defer("payload")

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("attempt__order")

    def page(self, request: HttpRequest, row: GatewayEvent) -> dict[str, Any]:
        return {"title": row.type, "mark": self.state_mark(row)}

    @display(description="state", ordering="state")
    def state_mark(self, row: GatewayEvent) -> SafeString:
        state = GatewayEvent.State(row.state)
        return badge(state.label.capitalize(), _TONES.get(state, "calm"))

    @display(description="order")
    def about(self, row: GatewayEvent) -> str:
        return str(row.attempt.order) if row.attempt else "—"

    @display(description="received", ordering="pk")
    def received(self, row: GatewayEvent) -> SafeString:
        return ago(row.received_at)
