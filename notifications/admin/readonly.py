"""Pages that look and never write: the base of nearly everything that staff see."""

from typing import Any, ClassVar

from django.contrib.admin import ShowFacets, SimpleListFilter
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from notifications.admin.subjects import named
from notifications.marks import NOTHING


class ReadOnlyAdmin(ModelAdmin):
    """A list and a page for each row. Rows are written by the shop's verbs, never here.

    A subclass gives `page_template` and `page`, what that template needs to know beyond `row`.
    """

    page_template: ClassVar[str]
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_before_template = "admin/tabs.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def page(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        return {}

    def page_rows(self) -> models.QuerySet[Any]:
        """The rows that have a page, with what their page needs; not only those of the list."""
        return self.model._default_manager.all()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        try:
            return self.page_rows().filter(pk=object_id).first()
        except (ValueError, ValidationError):
            return None  # no key of this table looks like that

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.page_template, self._page_context(request, row) | (extra_context or {}))

    def _page_context(self, request: HttpRequest, row: models.Model) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(row),
            "original": row,
            "row": row,
            **self.page(request, row),
        }


class NamingChangeList(ChangeList):
    """Gives each listed row `about`: the name and page of what `subject_of` says it is about."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]
        names = named(self.model_admin.subject_of(row) for row in rows)
        for row in rows:
            row.about = names.get(self.model_admin.subject_of(row), NOTHING)
        self.result_list = rows


class NamingAdmin(ReadOnlyAdmin):
    def subject_of(self, row: Any) -> str:
        raise NotImplementedError

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NamingChangeList


class Tabs(SimpleListFilter):
    """A filter shown as tabs over the list. The first of `lookups` holds when nothing is chosen."""

    title = "view"
    parameter_name = "show"
    template = "admin/tab_links.html"
    is_tabs = True
    tabs: ClassVar[dict[str, str]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.tabs.items())

    @property
    def chosen(self) -> str:
        value = self.value()
        return value if value in self.tabs else next(iter(self.tabs))

    def choices(self, changelist: Any) -> Any:
        for key, words in self.tabs.items():
            yield {
                "selected": self.chosen == key,
                "query_string": changelist.get_query_string({self.parameter_name: key}),
                "display": words,
            }
