"""What people have uploaded, and what became of it: for whoever is asked why a picture does not appear."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.decorators import display

from notifications.admin.audit import Watched
from notifications.admin.readonly import ReadOnlyAdmin, Tabs
from notifications.marks import ago, badge
from uploads import intake
from uploads.limits import in_words
from uploads.models import Upload

TONES = {"ready": "good", "processing": "busy", "received": "calm", "rejected": "warn", "failed": "bad"}


class UploadTabs(Tabs):
    tabs = {"all": "All", "moving": "Being worked on", "failed": "Failed", "rejected": "Rejected", "ready": "Ready"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Upload]) -> QuerySet[Upload]:
        if self.chosen == "moving":
            return queryset.filter(status__in=Upload.UNFINISHED)
        return queryset if self.chosen == "all" else queryset.filter(status=self.chosen)


@admin.register(Upload)
class UploadAdmin(Watched, ReadOnlyAdmin):
    look = "upload.viewed"
    list_display = ("name", "kind", "state", "reason", "size", "owner", "age")
    list_select_related = ("owner",)
    list_filter = (UploadTabs,)
    search_fields = ("name", "owner__email", "=uid")
    search_help_text = "File name, owner's address, id"
    ordering = ("-id",)
    page_template = "uploads/admin/upload.html"

    def get_urls(self) -> list[URLPattern]:
        pressed = self.admin_site.admin_view(require_POST(self.retry_view))
        return [path("<int:pk>/retry/", pressed, name="uploads_upload_retry"), *super().get_urls()]

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("owner").prefetch_related("renditions")

    def page(self, request: HttpRequest, row: Upload) -> dict[str, Any]:
        return {
            "state": self.state(row),
            "size": in_words(row.bytes),
            "made": [(one, in_words(one.bytes)) for one in row.renditions.order_by("pk")],
            "may_retry": row.status == Upload.Status.FAILED and self._may_retry(request),
        }

    def retry_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self._may_retry(request):
            raise PermissionDenied
        try:
            intake.retry(upload=get_object_or_404(Upload, pk=pk))
        except intake.NotFailed as why:
            self.message_user(request, str(why), messages.WARNING)
        else:
            self.message_user(request, "It is tried once more.", messages.SUCCESS)
        return redirect("admin:uploads_upload_change", pk)

    def _may_retry(self, request: HttpRequest) -> bool:
        return request.user.has_perm("uploads.change_upload")

    @display(description="state", ordering="status")
    def state(self, row: Upload) -> SafeString:
        moving = row.status == Upload.Status.PROCESSING
        return badge(f"{row.progress} %" if moving else row.get_status_display(), TONES[row.status])

    @display(description="size", ordering="bytes")
    def size(self, row: Upload) -> str:
        return in_words(row.bytes)

    @display(description="age", ordering="created_at")
    def age(self, row: Upload) -> SafeString:
        return ago(row.created_at)
