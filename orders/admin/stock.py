"""Stock: what is here and why, and the two ways to put the count right. Orders move it by the shop's verbs alone."""

import base64
import binascii
import hashlib
import uuid
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.decorators import action, display

from notifications.admin.readonly import ReadOnlyAdmin
from notifications.admin.subjects import named
from notifications.marks import badge
from orders.idempotency import Key, KeyReused
from orders.models import Stock
from orders.sheets import MOST_BYTES, MOST_LINES, MOST_NOTE, MOST_UNITS
from orders.stocktake import BadSheet, NotANumber, OutOfStock, import_stock, recount

MOVEMENTS_SHOWN: Final = 100
MOST_SHOWN: Final = 200  # of an import's changes, and of its faults: the page says how many more there are
LOW: Final = 5  # units: from here on the list warns


def available(stock: Stock) -> SafeString:
    return badge(str(stock.available), "bad" if not stock.available else "warn" if stock.available <= LOW else "good")


@admin.register(Stock)
class StockAdmin(ReadOnlyAdmin):
    list_display = ("product", "sku", "on_hand", "reserved", "free")
    list_select_related = ("product",)
    search_fields = ("product__sku", "product__name")
    ordering = ("product__name",)
    page_template = "orders/admin/stock.html"
    actions_list = ("import_counts",)

    def get_urls(self) -> list[URLPattern]:
        count = self.admin_site.admin_view(require_POST(self.count_view))
        return [path("<int:pk>/count/", count, name="orders_stock_count"), *super().get_urls()]

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("product")

    def page(self, request: HttpRequest, row: Stock) -> dict[str, Any]:
        movements = list(row.product.movements.select_related("order").order_by("-pk")[:MOVEMENTS_SHOWN])
        return {
            "title": row.product.name,
            "original": "",  # its name is a number: the head says just “Stock”
            "movements": movements,
            "names": named(move.actor for move in movements),
            "free": available(row),
            "may_count": self.has_count_permission(request),
            "fresh_key": uuid.uuid4(),
            "most_units": MOST_UNITS,
            "most_note": MOST_NOTE,
        }

    def has_count_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.change_stock")

    @display(description="SKU", ordering="product__sku")
    def sku(self, row: Stock) -> str:
        return row.product.sku

    @display(description="available")
    def free(self, row: Stock) -> SafeString:
        return available(row)

    # -- One product, counted anew -------------------------------------------------------------

    def count_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_count_permission(request):
            raise PermissionDenied
        found = get_object_or_404(Stock.objects.select_related("product"), pk=pk)
        level, words = self._count(request, found)
        self.message_user(request, words, level)
        return redirect("admin:orders_stock_change", pk)

    def _count(self, request: HttpRequest, found: Stock) -> tuple[int, str]:
        reason, units = request.POST.get("reason", "").strip(), request.POST.get("on_hand", "").strip()
        if not reason:
            return messages.ERROR, "Nothing was changed: give a reason first."
        if not (units.isascii() and units.isdecimal()):
            return messages.ERROR, f"Nothing was changed: {units[:20]!r} is no whole number."
        try:
            key = _key(request, f"count {found.pk} {units} {reason}")
            stock = recount(product=found.product, on_hand=int(units), reason=reason[:MOST_NOTE], key=key)
        except NotANumber as refusal:
            return messages.ERROR, f"Nothing was changed. {refusal}"
        except OutOfStock as refusal:
            promised = refusal.lines[0].wanted
            return messages.ERROR, f"Nothing was changed: {promised} are promised to orders that are being paid."
        except KeyReused:
            return messages.WARNING, "This page was sent before with another count. Look at what is here now."
        return messages.SUCCESS, f"{stock.on_hand} on hand now."

    # -- Many, from a list ---------------------------------------------------------------------

    @action(description="Import counts…", permissions=["count"], url_path="import")
    def import_counts(self, request: HttpRequest) -> HttpResponse:
        data = _sent(request)
        if data is None:
            return self._import_page(request, {"missing": request.method == "POST"})
        apply = "apply" in request.POST
        try:
            key = _key(request, hashlib.sha256(data).hexdigest()) if apply else None
            report = import_stock(data=data, dry_run=not apply, key=key)
        except BadSheet as refusal:
            return self._import_page(request, _some("faults", refusal.faults))
        except KeyReused:
            return self._import_page(request, {"reused": True})
        if not apply:
            facts = {"report": report, "content": base64.b64encode(data).decode(), "fresh_key": uuid.uuid4()}
            return self._import_page(request, facts | _some("changes", report.changes or ()))
        done = "It was done before" if report.changes is None else f"{len(report.changes)} products changed"
        self.message_user(request, f"{done}. The list has {report.lines} lines.", messages.SUCCESS)
        return redirect("admin:orders_stock_changelist")

    def _import_page(self, request: HttpRequest, facts: dict[str, Any]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Import counts",
            "most_lines": MOST_LINES,
            "most_megabytes": MOST_BYTES // 1_000_000,
            "back": reverse("admin:orders_stock_changelist"),
            **facts,
        }
        return TemplateResponse(request, "orders/admin/stock_import.html", context)


def _sent(request: HttpRequest) -> bytes | None:
    """The list that was chosen, or that a dry run has shown; a byte more than is allowed is enough to refuse it."""
    if "content" in request.POST:
        try:
            return base64.b64decode(request.POST["content"], validate=True)
        except (binascii.Error, ValueError):
            return None
    chosen = request.FILES.get("list")
    return None if chosen is None else chosen.read(MOST_BYTES + 1)


def _some(name: str, things: Any) -> dict[str, Any]:
    return {name: things[:MOST_SHOWN], f"{name}_count": len(things), f"{name}_more": max(len(things) - MOST_SHOWN, 0)}


def _key(request: HttpRequest, asked: str) -> Key:
    name = request.POST.get("key", "")[:64] or uuid.uuid4().hex
    return Key(scope=f"staff:{request.user.pk}", key=name, request_hash=hashlib.sha256(asked.encode()).hexdigest())
