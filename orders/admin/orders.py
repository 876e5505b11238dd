"""Orders: the list, and the page that tells everything about one."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from notifications.admin.audit import Watched
from notifications.admin.downloads import Downloads
from notifications.admin.readonly import ReadOnlyAdmin, Tabs
from notifications.admin.subjects import named
from notifications.marks import ago, done_of
from notifications.models import Letter
from notifications.pipeline.events import subject_of
from notifications.views.mailbox import LETTER_SANDBOX
from orders.admin import attention, marks
from orders.admin.actions import OrderActions, buttons
from orders.admin.money import written
from orders.admin.previews import LetterPreviews
from orders.models import Order
from orders.templatetags.shop import money
from orders.timeline import timeline

STATUSES_OF = {
    "unpaid": [Order.Status.PLACED],
    "ship": [Order.Status.PAID, Order.Status.PARTLY_SHIPPED],
    "refund": [Order.Status.REFUND_DUE],
}

_CSV = ("number", "placed_at", "status", "payment", "email", "name", "country", "items", "currency")
_CSV_AMOUNTS = ("subtotal", "shipping", "tax", "tax_included", "discount", "total")


class OrderTabs(Tabs):
    tabs = {"all": "All", "attention": "Needs attention", "unpaid": "Unpaid", "ship": "To ship", "refund": "Refund due"}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        if self.chosen == "attention":
            return attention.needing_attention(queryset)
        statuses = STATUSES_OF.get(self.chosen)
        return queryset.filter(status__in=statuses) if statuses else queryset


@admin.register(Order)
class OrderAdmin(Watched, OrderActions, LetterPreviews, Downloads, ReadOnlyAdmin):
    look = "order.viewed"
    list_display = ("number", "email", "amount", "payment", "stage", "side_effects", "age")
    list_filter = (OrderTabs, "status")
    search_fields = ("number", "email", "=correlation_id")
    search_help_text = "Number, e-mail, correlation id"
    date_hierarchy = "placed_at"
    ordering = ("-placed_at",)
    page_template = "orders/admin/order.html"
    csv_columns = (*_CSV, *_CSV_AMOUNTS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        return attention.with_effects(super().get_queryset(request)).prefetch_related("attempts")

    def csv_rows(self, shown: QuerySet[Order]) -> Iterator[Sequence[Any]]:
        """Without the counts of side effects, which the list has and the file has not."""
        rows = Order.objects.filter(pk__in=shown.order_by().values("pk")).order_by("pk")
        for order in rows.prefetch_related("attempts", "lines").iterator(chunk_size=500):
            yield _cells(order)

    def page_rows(self) -> QuerySet[Any]:
        return (
            super().page_rows().prefetch_related("attempts", "lines", "return_requests__pictures__upload__renditions")
        )

    def page(self, request: HttpRequest, row: Order) -> dict[str, Any]:
        entries = timeline(row)
        return {
            "attention": [(item, _may_press(request, item)) for item in attention.attention(row)],
            "buttons": list(buttons(request, row)),
            "fresh_key": uuid.uuid4(),
            "address": _address(row.shipping_address),
            "payment": marks.payment_badge(row),
            "stage": marks.status_badge(row),
            "entries": entries,
            "names": named({entry.actor for entry in entries} | {f"user:{row.user_id}"}),
            "letters": list(Letter.objects.filter(subject_ref=subject_of(row)).order_by("pk")),
            "refunds": list(row.refunds.order_by("created_at")),
            "parcels": list(row.shipments.prefetch_related("lines__line").order_by("pk")),
            "edits": list(row.edits.order_by("pk")),
            "returns": sorted(row.return_requests.all(), key=lambda one: -one.pk),
            "papers": list(row.invoices.order_by("pk")),
            "movements": list(row.movements.select_related("product").order_by("pk")),
            "holds": list(row.holds.select_related("product").order_by("pk")),
            "sandbox": LETTER_SANDBOX,
            "raw": _raw(row),
        }

    @display(description="total", ordering="total")
    def amount(self, row: Order) -> str:
        return money(row.total, row.currency)

    @display(description="payment")
    def payment(self, row: Order) -> SafeString:
        return marks.payment_badge(row)

    @display(description="status", ordering="status")
    def stage(self, row: Order) -> SafeString:
        return marks.status_badge(row)

    @display(description="side effects")
    def side_effects(self, row: Any) -> SafeString | str:
        return done_of(row.effects_done, row.effects, dead=row.effects_dead > 0)

    @display(description="age", ordering="placed_at")
    def age(self, row: Order) -> SafeString:
        return ago(row.placed_at)


def _cells(order: Order) -> list[Any]:
    items = "; ".join(f"{line.quantity} × {line.sku}" for line in order.lines.all())
    to = [order.shipping_address.get("name", ""), order.shipping_address.get("country", "")]
    facts = [order.number, order.placed_at.isoformat(), order.status, order.payment_status, order.email, *to, items]
    return [*facts, order.currency, *(written(getattr(order, name), order.currency) for name in _CSV_AMOUNTS)]


def _may_press(request: HttpRequest, item: attention.Attention) -> bool:
    return request.user.has_perm(item.permission or "notifications.decide_failure")


def _address(given: dict[str, str]) -> list[str]:
    place = f"{given.get('postal_code', '')} {given.get('city', '')}".strip()
    lines = [given.get("name"), given.get("line1"), given.get("line2"), place, given.get("country")]
    return [line for line in lines if line]


def _raw(order: Order) -> dict[str, Any]:
    """The rows as they are. Without the cart's token, which opens somebody's session to a second order."""
    parts = ("lines", "attempts", "status_changes", "holds", "movements")
    facts = {key: value for key, value in _row(order).items() if key != "cart_token"}
    return facts | {part: [_row(row) for row in getattr(order, part).all()] for part in parts}


def _row(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
