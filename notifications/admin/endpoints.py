"""Webhook endpoints: who is told of what, whether it arrives, and the buttons for when it does not."""

from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.decorators import display

from notifications.admin.readonly import ReadOnlyAdmin, Tabs
from notifications.admin.subjects import named
from notifications.marks import ago, badge
from notifications.webhooks import calls, endpoints
from notifications.webhooks.models import Call, Endpoint

SHOWN: Final = 50  # calls on an endpoint's page
_TONES: Final = {Call.State.DELIVERED: "good", Call.State.FAILED: "bad", Call.State.QUEUED: "busy"}


class EndpointTabs(Tabs):
    tabs = {"all": "All", "failing": "Failing", "disabled": "Disabled"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> QuerySet[Endpoint]:
        if self.chosen == "failing":
            return queryset.filter(disabled_at=None).exclude(failing_since=None)
        return queryset.exclude(disabled_at=None) if self.chosen == "disabled" else queryset


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    list_display = ("url", "state_mark", "owner", "listens_to", "created")
    list_filter = (EndpointTabs,)
    list_select_related = ("owner",)
    search_fields = ("url", "owner__email", "description")
    search_help_text = "Address, owner, description"
    ordering = ("-pk",)
    page_template = "notifications/admin/endpoint.html"

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("owner")

    def get_urls(self) -> list[URLPattern]:
        pressed = self.admin_site.admin_view(require_POST(self.press_view))
        return [path("<int:pk>/press/", pressed, name="notifications_endpoint_press"), *super().get_urls()]

    def has_disable_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.disable_endpoint")

    def press_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Enable, disable, or send one call again."""
        if not self.has_disable_permission(request):
            raise PermissionDenied
        endpoint, button = get_object_or_404(Endpoint, pk=pk), request.POST.get("do", "")
        if button in ("enable", "disable"):
            endpoints.switch(endpoint, on=button == "enable", by_shop=True)
        elif button == "resend" and endpoint.disabled_at is None:
            key = request.POST.get("call", "")
            call = get_object_or_404(Call, endpoint=endpoint, pk=int(key) if key.isdecimal() else None)
            again = calls.resend(call)
            words = "On its way again." if again else "It is on its way already."
            self.message_user(request, words, messages.SUCCESS if again else messages.INFO)
        return redirect("admin:notifications_endpoint_change", endpoint.pk)

    def page(self, request: HttpRequest, row: Endpoint) -> dict[str, Any]:
        told = list(row.calls.select_related("event").order_by("-pk")[:SHOWN])
        for call in told:
            call.mark = badge(call.get_state_display(), _TONES.get(Call.State(call.state), "calm"))  # type: ignore[attr-defined]
            call.shown_tries = calls.tries_for(call, request.user)  # type: ignore[attr-defined]
        return {
            "mark": self.state_mark(row),
            "calls": told,
            "names": named(call.event.subject for call in told),
            "may_press": self.has_disable_permission(request),
        }

    @display(description="state", ordering="disabled_at")
    def state_mark(self, row: Endpoint) -> SafeString:
        if row.disabled_at:
            return badge("Disabled", "bad")
        return badge("Failing", "busy") if row.failing_since else badge("Enabled", "good")

    @display(description="listens to")
    def listens_to(self, row: Endpoint) -> str:
        return ", ".join(row.events)

    @display(description="added", ordering="pk")
    def created(self, row: Endpoint) -> SafeString:
        return ago(row.created_at)
