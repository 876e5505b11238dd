"""Campaigns: written as a draft, started, watched, paused; and the mailing list they go to."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from notifications.admin.audit import Watched
from notifications.admin.readonly import ReadOnlyAdmin, Tabs
from notifications.campaigns import campaigns
from notifications.campaigns.models import Campaign, Subscriber
from notifications.campaigns.progress import failed, progress
from notifications.marks import ago, badge
from notifications.pipeline import decisions

_TONES = {"draft": "calm", "running": "busy", "paused": "warn", "done": "good"}


@admin.register(Campaign)
class CampaignAdmin(ModelAdmin):
    list_display = ("name", "state_mark", "subject", "total", "created")
    search_fields = ("name", "subject")
    ordering = ("-pk",)
    fields = ("name", "subject", "text", "per_minute")
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.state == Campaign.State.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and obj is not None and obj.state == Campaign.State.DRAFT

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.send_campaign")

    def get_urls(self) -> list[URLPattern]:
        watch = path(
            "<int:pk>/watch/", self.admin_site.admin_view(self.watch_view), name="notifications_campaign_watch"
        )
        pressed = self.admin_site.admin_view(require_POST(self.press_view))
        press = path("<int:pk>/press/", pressed, name="notifications_campaign_press")
        return [watch, press, *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **options: Any) -> HttpResponse:
        """A draft is written; what has been started is watched."""
        row = self.get_object(request, object_id)
        if row is not None and row.state != Campaign.State.DRAFT:
            return redirect("admin:notifications_campaign_watch", row.pk)
        return super().change_view(request, object_id, *args, **options)

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        """A draft somebody has started meanwhile is sent as it was."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        written = {name: getattr(obj, name) for name in self.fields}
        if not Campaign.objects.filter(pk=obj.pk, state=Campaign.State.DRAFT).update(**written):
            self.message_user(request, "It has been started meanwhile, and goes out as it was.", messages.ERROR)

    def response_add(self, request: HttpRequest, obj: Campaign, *args: Any) -> HttpResponse:
        return redirect("admin:notifications_campaign_watch", obj.pk)

    def response_change(self, request: HttpRequest, obj: Campaign) -> HttpResponse:
        return redirect("admin:notifications_campaign_watch", obj.pk)

    def watch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = get_object_or_404(Campaign, pk=pk)
        facts = progress(row)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": row.name,
            "original": row,
            "row": row,
            "mark": self.state_mark(row),
            "facts": facts,
            "listed": facts["total"] is None and Subscriber.objects.filter(state=Subscriber.State.CONFIRMED).count(),
            "minutes_left": -(-facts["left"] // row.per_minute),
            "look_again": _look_again(facts),
            "may_send": self.has_send_permission(request),
            "may_retry": request.user.has_perm("notifications.decide_failure"),
        }
        return TemplateResponse(request, "notifications/admin/campaign.html", context)

    def press_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Start, pause, resume, or retry what has failed."""
        if not self.has_send_permission(request):
            raise PermissionDenied
        row, button = get_object_or_404(Campaign, pk=pk), request.POST.get("do", "")
        verbs = {"start": campaigns.start, "pause": campaigns.pause, "resume": campaigns.resume}
        try:
            if button == "retry" and request.user.has_perm("notifications.decide_failure"):
                count = decisions.retry_all(deliveries=list(failed(row)[:1000]), by=f"user:{request.user.pk}")
                self.message_user(request, f"{count} are tried again.", messages.SUCCESS)
            elif button in verbs:
                verbs[button](row)
        except campaigns.NotNow as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        return redirect("admin:notifications_campaign_watch", row.pk)

    @display(description="state", ordering="state")
    def state_mark(self, row: Campaign) -> SafeString:
        return badge(row.get_state_display(), _TONES[row.state])

    @display(description="written", ordering="pk")
    def created(self, row: Campaign) -> SafeString:
        return ago(row.created_at)


def _look_again(facts: dict[str, Any]) -> int:
    """Seconds until the page looks again by itself; 0: nothing moves. Counting a long list takes a while."""
    ended = facts["sent"] + facts["bounced"] + facts["skipped"] + facts["failed"]
    moves = facts["total"] is not None and facts["state"] != "paused" and ended < facts["total"]
    return (10 if facts["total"] > 10_000 else 2) if moves else 0


class SubscriberTabs(Tabs):
    tabs = {"all": "All", "confirmed": "On the list", "asked": "Asked", "left": "Left", "bounced": "Bounced"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> QuerySet[Subscriber]:
        return queryset if self.chosen == "all" else queryset.filter(state=self.chosen)


@admin.register(Subscriber)
class SubscriberAdmin(Watched, ReadOnlyAdmin):
    look = "subscriber.viewed"
    list_display = ("email", "name", "state_mark", "asked", "confirmed", "ended")
    list_filter = (SubscriberTabs,)
    list_display_links = None
    search_fields = ("email", "name")
    ordering = ("-pk",)
    page_template = "notifications/admin/subscriber.html"

    @display(description="state", ordering="state")
    def state_mark(self, row: Subscriber) -> SafeString:
        tones = {"confirmed": "good", "asked": "busy", "left": "calm"}
        return badge(row.get_state_display(), tones.get(row.state, "bad"))

    @display(description="asked", ordering="asked_at")
    def asked(self, row: Subscriber) -> SafeString:
        return ago(row.asked_at)

    @display(description="said yes", ordering="confirmed_at")
    def confirmed(self, row: Subscriber) -> SafeString:
        return ago(row.confirmed_at)

    @display(description="ended", ordering="ended_at")
    def ended(self, row: Subscriber) -> SafeString:
        return ago(row.ended_at)
