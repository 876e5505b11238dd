"""Lists that staff take along as a CSV file."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from unfold.decorators import action

from notifications.audit import log
from notifications.csv_rows import csv_lines


class Downloads(admin.ModelAdmin):  # type: ignore[type-arg]
    """What the list shows, with its tab, filters and search, however long that is. Each download is written down."""

    csv_columns: ClassVar[Sequence[str]]
    actions_list: ClassVar[Sequence[str]] = ("download",)

    def csv_rows(self, shown: QuerySet[Any]) -> Iterable[Sequence[Any]]:
        """A row of cells for each of `shown`, under `csv_columns`."""
        raise NotImplementedError

    @action(description="Download as CSV", permissions=["view"], url_path="csv")
    def download(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            shown = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        name = str(self.opts.model_name)
        log.record(f"{name}.exported", after={"asked": sorted(request.GET)})
        lines = csv_lines(self.csv_columns, self.csv_rows(shown))
        names = {"Content-Disposition": f'attachment; filename="{name}s.csv"'}
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=names)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The button asks for what the list shows: by itself its link would forget the filters."""
        response = super().changelist_view(request, extra_context)
        for button in (getattr(response, "context_data", None) or {}).get("actions_list", ()):
            if request.GET and button["path"].endswith("/csv/"):
                button["path"] += f"?{request.GET.urlencode()}"
        return response
