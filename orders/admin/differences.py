"""Differences between the gateway's books and ours: what each means, the button that mends it, and the comparison."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.views.decorators.http import require_POST
from unfold.decorators import display

from notifications.admin.downloads import Downloads
from notifications.admin.pressed import asked_from, by
from notifications.admin.readonly import ReadOnlyAdmin, Tabs
from notifications.admin.subjects import named
from notifications.marks import ago, badge
from notifications.panels import Panel, Row, show_on_failures
from orders import differences, repairs, settlement
from orders.admin.money import written
from orders.gateways.base import GatewaySilent
from orders.models import Difference
from orders.repairs import NotRepaired
from orders.templatetags.shop import money

Kind = Difference.Kind
MOST_ON_FAILURES: Final = 20
_CSV: Final = (
    *("id", "found_at", "kind", "order", "amount", "currency", "reference", "gateway_id", "detail"),
    *("closed_at", "closed_by", "how"),
)

# What the button does, said before it is pressed.
WHAT_REPAIR_DOES: Final = {
    Kind.UNSETTLED: "asks the bank about this payment and settles it here: the order becomes paid, or the money goes "
    "back if the order can no longer be fulfilled.",
    Kind.STRAY_CHARGE: "gives the whole amount back to the card it came from: no order of ours goes with it.",
    Kind.MISSING_CHARGE: "asks the bank once more. If it has the payment after all, this is closed; if not, do not "
    "ship the order.",
    Kind.AMOUNT: "believes the bank and gives the surplus back. If less came than the order costs, nothing is done: "
    "cancel the order, or dismiss this.",
    Kind.STRAY_REFUND: "writes the bank's refunds of this payment into our books.",
    Kind.MISSING_REFUND: "marks our refund as failed: the money counts as ours again, and can be given back anew.",
    Kind.UNMATCHED_EVENT: "looks once more for the payment that the bank told of.",
}


class DifferenceTabs(Tabs):
    tabs = {"open": "Open", "closed": "Closed", "all": "All"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Difference]) -> QuerySet[Difference]:
        return queryset if self.chosen == "all" else queryset.filter(resolved_at__isnull=self.chosen == "open")


@admin.register(Difference)
class DifferenceAdmin(Downloads, ReadOnlyAdmin):
    list_display = ("what", "stands", "about", "sum", "detail", "found")
    list_filter = (DifferenceTabs, "kind")
    list_select_related = ("order",)
    search_fields = ("=reference", "=gateway_id", "order__number")
    search_help_text = "Order number, our reference, the gateway's id"
    ordering = ("-pk",)
    page_template = "orders/admin/difference.html"
    csv_columns = _CSV
    list_before_template = "orders/admin/differences_top.html"

    def get_urls(self) -> list[URLPattern]:
        ask, wrap = require_POST, self.admin_site.admin_view
        buttons = [
            path("compare/", wrap(ask(self.compare_view)), name="orders_difference_compare"),
            path("<int:pk>/repair/", wrap(ask(self.repair_view)), name="orders_difference_repair"),
            path("<int:pk>/dismiss/", wrap(ask(self.dismiss_view)), name="orders_difference_dismiss"),
        ]
        return buttons + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        more = {"may_decide": self.has_decide_permission(request)}
        return super().changelist_view(request, more | (extra_context or {}))

    def csv_rows(self, shown: QuerySet[Difference]) -> Iterator[Sequence[Any]]:
        for row in shown.select_related("order").order_by("pk").iterator(chunk_size=500):
            yield _cells(row)

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("order")

    def page(self, request: HttpRequest, row: Difference) -> dict[str, Any]:
        return {
            "title": capfirst(row.get_kind_display()),
            "what_repair_does": WHAT_REPAIR_DOES[Kind(row.kind)],
            "may_decide": self.has_decide_permission(request),
            "names": named([row.resolved_by]),
            "stands": self.stands(row),
        }

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.decide_difference")

    # -- The buttons -------------------------------------------------------------------------

    def repair_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        found = self._to_decide(request, pk)
        level, words = self._repair(request, found)
        self.message_user(request, words, level)
        return redirect(asked_from(request) or reverse("admin:orders_difference_change", args=[pk]))

    def _repair(self, request: HttpRequest, found: Difference) -> tuple[int, str]:
        if found.resolved_at is not None:
            return messages.INFO, "It was closed before; nothing was done now."
        try:
            how = repairs.repair(found, by=by(request))
        except NotRepaired as refusal:
            return messages.WARNING, f"Not repaired. {refusal}"
        except GatewaySilent as silence:
            return messages.WARNING, f"Not repaired: the bank did not answer ({silence}). Try again in a minute."
        return messages.SUCCESS, f"Repaired: {how}."

    def dismiss_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        found, reason = self._to_decide(request, pk), request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, "Nothing was dismissed: give a reason first.", messages.ERROR)
        elif differences.resolve(found, by=by(request), how=f"dismissed: {reason}"):
            self.message_user(request, "Dismissed. The reason is kept with your name.", messages.SUCCESS)
        else:
            self.message_user(request, "It was closed before; nothing was done now.", messages.INFO)
        return redirect("admin:orders_difference_change", pk)

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_decide_permission(request):
            raise PermissionDenied
        try:
            count = len(settlement.settle_books())
        except GatewaySilent as silence:
            words = f"The bank did not list its payments ({silence}). Nothing was concluded; try again in a minute."
            self.message_user(request, words, messages.WARNING)
        else:
            words = f"{count} open difference{'s'[: count != 1]}." if count else "The bank's books and ours agree."
            self.message_user(request, f"Compared the last 48 hours. {words}", messages.SUCCESS)
        return redirect("admin:orders_difference_changelist")

    def _to_decide(self, request: HttpRequest, pk: int) -> Difference:
        if not self.has_decide_permission(request):
            raise PermissionDenied
        return get_object_or_404(Difference, pk=pk)

    # -- The columns -------------------------------------------------------------------------

    @display(description="what differs", ordering="kind")
    def what(self, row: Difference) -> str:
        return capfirst(row.get_kind_display())

    @display(description="state", ordering="resolved_at")
    def stands(self, row: Difference) -> SafeString:
        return badge("Open", "bad") if row.resolved_at is None else badge("Closed", "calm")

    @display(description="order", ordering="order")
    def about(self, row: Difference) -> str:
        return str(row.order or "—")

    @display(description="amount", ordering="amount")
    def sum(self, row: Difference) -> str:
        return money(row.amount, row.currency) if row.currency else "—"

    @display(description="found", ordering="found_at")
    def found(self, row: Difference) -> SafeString:
        return ago(row.found_at)


def _cells(row: Difference) -> list[Any]:
    amount = written(row.amount, row.currency) if row.currency else ""
    about = [row.kind, row.order or "", amount, row.currency, row.reference, row.gateway_id, row.detail]
    closed = row.resolved_at.isoformat() if row.resolved_at else ""
    return [row.pk, row.found_at.isoformat(), *about, closed, row.resolved_by, row.resolution]


def open_rows(request: HttpRequest) -> Iterator[Row]:
    """The open differences for the page Failures."""
    button = "Repair" if request.user.has_perm("orders.decide_difference") else ""
    for row in Difference.objects.open().select_related("order").order_by("pk")[:MOST_ON_FAILURES]:
        about = [str(row.order)] if row.order else []
        about += [money(row.amount, row.currency)] if row.currency else []
        yield Row(
            sentence=": ".join([capfirst(row.get_kind_display()), ", ".join(about)]).removesuffix(": "),
            detail=row.detail,
            url=reverse("admin:orders_difference_change", args=[row.pk]),
            button=button,
            action=reverse("admin:orders_difference_repair", args=[row.pk]),
        )


show_on_failures(Panel(title="Money", permission="orders.view_difference", rows=open_rows))
