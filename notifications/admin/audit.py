"""The audit log: who did what to whom, from where. To be read, searched and taken along; never written here."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.views import ChangeList

from notifications import marks
from notifications.admin.readonly import ReadOnlyAdmin
from notifications.admin.subjects import named
from notifications.audit import log
from notifications.audit.models import AuditEntry, AuditSeal
from notifications.csv_rows import csv_lines
from notifications.pipeline.events import subject_of

COLUMNS = ("id", "at", "action", "actor", "about", "before", "after", "address", "correlation_id")


def log_of(row: Any) -> str:
    """Where the page of a thing, or of a person, finds what was done to it."""
    return f"{reverse('admin:notifications_auditentry_changelist')}?q={subject_of(row)}"


class Watched(admin.ModelAdmin):  # type: ignore[type-arg]
    """Pages that show what is somebody's own: each look at one is written down, before the answer goes out."""

    look: ClassVar[str]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **options: Any) -> HttpResponse:
        response = super().change_view(request, object_id, *args, **options)
        if request.method == "GET" and response.status_code == 200:
            log.record(self.look, about=f"{self.opts.model_name}:{unquote(object_id)}"[:100])
        return response


class NamingBoth(ChangeList):
    """Names who did it and what it was about, in one query for each kind of row."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]
        names = named(reference for row in rows for reference in (row.actor, row.about))
        for row in rows:
            row.who, row.whom = names.get(row.actor, marks.NOTHING), names.get(row.about, marks.NOTHING)
        self.result_list = rows


class ActionFilter(admin.SimpleListFilter):
    """Those that there are: by the index, a step for each."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in _actions()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() else queryset


def _actions() -> Iterator[str]:
    name = ""
    while found := AuditEntry.objects.filter(action__gt=name).order_by("action").values_list("action", flat=True)[:1]:
        name = found[0]
        yield name


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("what", "who", "whom", "changed", "address", "when")
    list_filter = (ActionFilter,)
    list_select_related = ("origin",)
    date_hierarchy = "at"
    search_fields = ("=actor", "=about", "action", "=correlation_id", "=origin__address")
    search_help_text = "E-mail address, “user:5”, “order:17”, action, correlation id, network address"
    ordering = ("-id",)
    page_template = "notifications/admin/audit_entry.html"
    actions_list = ("export",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NamingBoth

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """An e-mail address is looked up: the log itself holds none."""
        if "@" not in search_term:
            return super().get_search_results(request, queryset, search_term)
        found = get_user_model()._default_manager.filter(email__iexact=search_term.strip())
        people = [subject_of(one) for one in found]
        return queryset.filter(Q(actor__in=people) | Q(about__in=people)), False

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("origin")

    def page(self, request: HttpRequest, row: AuditEntry) -> dict[str, Any]:
        parts = {"before": row.before, "after": row.after}
        return {
            "names": named([row.actor, row.about]),
            "address": _address(row),
            "parts": [(name, json.dumps(said, indent=2, ensure_ascii=False)) for name, said in parts.items() if said],
            "seal": _seal_of(row),
        }

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.export_auditentry")

    @action(description="Export as CSV", permissions=["export"], url_path="export")
    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """What the list shows, with its filters, however long that is."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        shown: Any = self.get_changelist_instance(request)
        log.record("audit.exported", after={"asked": sorted(request.GET)})
        rows = (_cells(row) for row in shown.get_queryset(request).order_by("id").iterator(chunk_size=500))
        names = {"Content-Disposition": 'attachment; filename="audit-log.csv"'}
        return StreamingHttpResponse(csv_lines(COLUMNS, rows), content_type="text/csv; charset=utf-8", headers=names)

    @display(description="action", ordering="action")
    def what(self, row: AuditEntry) -> str:
        return row.action

    @display(description="by", ordering="actor")
    def who(self, row: Any) -> Any:
        return row.who

    @display(description="to", ordering="about")
    def whom(self, row: Any) -> Any:
        return row.whom

    @display(description="change")
    def changed(self, row: AuditEntry) -> str:
        names = sorted({**(row.before or {}), **(row.after or {})})
        was, now = row.before or {}, row.after or {}
        parts = (
            f"{name} {_short(was[name])} → {_short(now.get(name))}" if name in was else f"{name} {_short(now[name])}"
            for name in names
        )
        words = ", ".join(parts)
        return f"{words[:80]}…" if len(words) > 80 else words or marks.NOTHING

    @display(description="from")
    def address(self, row: AuditEntry) -> str:
        return _address(row) or marks.NOTHING

    @display(description="when", ordering="id")
    def when(self, row: AuditEntry) -> SafeString:
        return marks.exact(row.at)


def _short(value: Any) -> str:
    """As it stands in a list; the page of the entry has it in full."""
    if not isinstance(value, list):
        return str(value)
    return f"({len(value)})" if any(isinstance(one, dict | list) for one in value) else ", ".join(map(str, value))


def _address(row: AuditEntry) -> str:
    origin = getattr(row, "origin", None)
    if origin is not None:
        return str(origin.address)
    return "erased" if row.origin_digest else ""


def _seal_of(row: AuditEntry) -> AuditSeal | None:
    """Close by: the first that reaches so far, or for a late entry one of the next."""
    near = AuditSeal.objects.filter(up_to__gte=row.pk).order_by("number")[:60]
    return next((one for one in near if any(first <= row.pk <= last for first, last in one.entries)), None)


def _cells(row: AuditEntry) -> list[Any]:
    before, after = (json.dumps(said, sort_keys=True) if said else "" for said in (row.before, row.after))
    moment = row.at.isoformat()
    return [row.pk, moment, row.action, row.actor, row.about, before, after, _address(row), row.correlation_id]
