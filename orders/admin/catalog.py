"""Products, which staff may rename, price and hide; and their stock, which only the shop's verbs move."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from moneyed import get_currency
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from notifications.admin.readonly import ReadOnlyAdmin
from notifications.admin.subjects import named
from notifications.marks import badge
from orders.models import Product, Stock
from orders.templatetags.shop import money

MOVEMENTS_SHOWN = 100
LOW = 5  # units: from here on the list warns


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    """Takes the price as people write it, 12.90, and keeps it as the shop does, 1290."""

    amount = forms.DecimalField(
        label="Price", min_value=Decimal("0.01"), decimal_places=2, widget=UnfoldAdminDecimalFieldWidget
    )

    class Meta:
        model = Product
        fields: ClassVar = ("name", "description", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["amount"] = f"{self.instance.price_money.amount:.2f}"
        self.fields["amount"].help_text = f"In {self.instance.currency}. Orders already placed keep their price."

    def save(self, commit: bool = True) -> Any:
        self.instance.price = int(self.cleaned_data["amount"] * get_currency(self.instance.currency).sub_unit)
        return super().save(commit)


@admin.register(Product)
class ProductAdmin(ModelAdmin):
    form = ProductForm
    list_display = ("name", "sku", "price_words", "in_stock", "is_active")
    list_select_related = ("stock",)
    list_filter = ("is_active",)
    search_fields = ("sku", "name")
    ordering = ("name",)
    show_full_result_count = False
    fields = ("name", "description", "amount", "is_active", "sku", "slug", "stock_hint")
    readonly_fields = ("sku", "slug", "stock_hint")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="price", ordering="price")
    def price_words(self, row: Product) -> str:
        return money(row.price, row.currency)

    @display(description="available")
    def in_stock(self, row: Product) -> SafeString:
        return _available(row.stock)

    @display(description="stock")
    def stock_hint(self, row: Product) -> SafeString:
        return format_html(
            "{} on hand, {} promised to orders being paid. To count it anew: <code>manage.py stock set {} N</code>",
            row.stock.on_hand,
            row.stock.reserved,
            row.sku,
        )


@admin.register(Stock)
class StockAdmin(ReadOnlyAdmin):
    list_display = ("product", "sku", "on_hand", "reserved", "free")
    list_select_related = ("product",)
    search_fields = ("product__sku", "product__name")
    ordering = ("product__name",)
    page_template = "orders/admin/stock.html"

    def page_rows(self) -> QuerySet[Any]:
        return super().page_rows().select_related("product")

    def page(self, request: HttpRequest, row: Stock) -> dict[str, Any]:
        movements = list(row.product.movements.select_related("order").order_by("-pk")[:MOVEMENTS_SHOWN])
        return {
            "title": row.product.name,
            "original": "",  # its name is a number: the head says just “Stock”
            "movements": movements,
            "names": named(move.actor for move in movements),
            "free": _available(row),
        }

    @display(description="SKU", ordering="product__sku")
    def sku(self, row: Stock) -> str:
        return row.product.sku

    @display(description="available")
    def free(self, row: Stock) -> SafeString:
        return _available(row)


def _available(stock: Stock) -> SafeString:
    return badge(str(stock.available), "bad" if not stock.available else "warn" if stock.available <= LOW else "good")
