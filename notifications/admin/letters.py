"""Letters: what was written to whom, and whether a mail server has taken it."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST
from unfold.decorators import display

from notifications import marks
from notifications.admin.audit import Watched
from notifications.admin.readonly import NamingAdmin, Tabs
from notifications.admin.subjects import named
from notifications.mail.letters import may_go_elsewhere, resend
from notifications.mail.sealing import shown
from notifications.models import Letter
from notifications.views.mailbox import LETTER_POLICY, LETTER_SANDBOX

GONE_OUT = (Letter.State.SENT, Letter.State.BOUNCED)


class LetterTabs(Tabs):
    tabs = {"all": "All", "queued": "On their way", "sent": "Sent", "bounced": "Bounced"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Letter]) -> QuerySet[Letter]:
        return queryset if self.chosen == "all" else queryset.filter(state=self.chosen)


@admin.register(Letter)
class LetterAdmin(Watched, NamingAdmin):
    look = "letter.viewed"
    list_display = ("title", "state_mark", "to", "about", "template", "queued", "sent")
    list_filter = (LetterTabs,)
    search_fields = ("to", "subject", "=subject_ref", "=correlation_id", "=message_id")
    search_help_text = "Address, subject, “order:17”, correlation id, Message-ID"
    ordering = ("-id",)
    page_template = "notifications/admin/letter.html"

    def subject_of(self, row: Letter) -> str:
        return row.subject_ref

    def get_queryset(self, request: HttpRequest) -> QuerySet[Letter]:
        return super().get_queryset(request).defer("text", "html")

    def get_urls(self) -> list[URLPattern]:
        frame = path("<int:pk>/html/", self.admin_site.admin_view(self.html_view), name="notifications_letter_html")
        pressed = self.admin_site.admin_view(require_POST(self.resend_view))
        return [frame, path("<int:pk>/again/", pressed, name="notifications_letter_again"), *super().get_urls()]

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.resend_letter")

    def resend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The button "Send again": pressed twice, it is one letter."""
        if not self.has_resend_permission(request):
            raise PermissionDenied
        letter, key = get_object_or_404(Letter, pk=pk), request.POST.get("key", "")[:64]
        if refusal := _refusal(letter, to := request.POST.get("to", "").strip()):
            self.message_user(request, refusal, messages.ERROR)
            return redirect("admin:notifications_letter_change", letter.pk)
        with transaction.atomic():
            again = resend(letter, key=key or uuid.uuid4().hex, to=to)
        self.message_user(request, f"Written again to {again.to}; it goes out now.", messages.SUCCESS)
        return redirect("admin:notifications_letter_change", again.pk)

    @method_decorator(xframe_options_sameorigin)
    def html_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The HTML part alone, locked in by its own policy, wherever it is opened."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        letter = get_object_or_404(Letter, pk=pk)
        return HttpResponse(
            shown(letter, letter.html, user=request.user), headers={"Content-Security-Policy": LETTER_POLICY}
        )

    def page(self, request: HttpRequest, row: Letter) -> dict[str, Any]:
        return {
            "sandbox": LETTER_SANDBOX,
            "names": named([row.subject_ref]),
            "may_resend": row.state in GONE_OUT and self.has_resend_permission(request),
            "may_go_elsewhere": may_go_elsewhere(row),
            "fresh_key": uuid.uuid4(),
        }

    @display(description="subject", ordering="subject")
    def title(self, row: Letter) -> str:
        return row.subject

    @display(description="state", ordering="state")
    def state_mark(self, row: Letter) -> SafeString:
        return marks.letter_badge(row.state)

    @display(description="about", ordering="subject_ref")
    def about(self, row: Any) -> Any:
        return row.about

    @display(description="written", ordering="id")
    def queued(self, row: Letter) -> SafeString:
        return marks.ago(row.queued_at)

    @display(description="sent", ordering="sent_at")
    def sent(self, row: Letter) -> SafeString:
        return marks.ago(row.sent_at)


def _refusal(letter: Letter, to: str) -> str:
    """Why it cannot be sent again to this address, or to its own when none is given; empty when it can."""
    if letter.state not in GONE_OUT:
        return "Only a letter that has been sent can be sent again."
    if to in ("", letter.to):
        return ""
    if not may_go_elsewhere(letter):
        return "This letter can be sent again to its own address only."
    try:
        validate_email(to)
    except ValidationError:
        return "That is no e-mail address."
    return ""
