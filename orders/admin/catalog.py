"""Products, which staff may rename, price and hide."""

from decimal import Decimal
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from orders.admin.money import AmountField, CurrencyField, MoneyForm
from orders.admin.pictures import ProductPictures
from orders.admin.stock import available
from orders.models import Product, ProductPrice
from orders.templatetags.shop import money

LEAST = Decimal("0.001")  # more than nothing, in any currency


class ProductForm(MoneyForm):
    amounts: ClassVar = {"amount": "price"}
    amount = AmountField(label="Price", min_value=LEAST)

    class Meta:
        model = Product
        fields: ClassVar = ("name", "description", "tax_class", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["amount"].help_text = f"In {self.instance.currency}. Orders already placed keep their price."


class ProductPriceForm(MoneyForm):
    amounts: ClassVar = {"amount": "price"}
    currency = CurrencyField()
    amount = AmountField(label="Price", min_value=LEAST)

    class Meta:
        model = ProductPrice
        fields: ClassVar = ("currency",)


class PricesInline(TabularInline):
    model = ProductPrice
    form = ProductPriceForm
    fields = ("currency", "amount")
    extra = 0
    hide_title = True
    verbose_name = "price in another currency"
    verbose_name_plural = "prices in other currencies"


@admin.register(Product)
class ProductAdmin(ProductPictures, ModelAdmin):
    form = ProductForm
    list_display = ("name", "sku", "price_words", "in_stock", "is_active")
    list_select_related = ("stock",)
    list_filter = ("is_active",)
    search_fields = ("sku", "name")
    ordering = ("name",)
    show_full_result_count = False
    fields = ("name", "description", "amount", "tax_class", "is_active", "sku", "slug", "stock_hint")
    readonly_fields = ("sku", "slug", "stock_hint")
    inlines = (PricesInline,)
    actions_detail = ("to_pictures",)
    actions_list = ("to_many_pictures",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="price", ordering="price")
    def price_words(self, row: Product) -> str:
        return money(row.price, row.currency)

    @display(description="available")
    def in_stock(self, row: Product) -> SafeString:
        return available(row.stock)

    @display(description="stock")
    def stock_hint(self, row: Product) -> SafeString:
        words = "{} on hand, {} promised to orders being paid."
        return format_html(words, row.stock.on_hand, row.stock.reserved)
