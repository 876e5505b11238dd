"""What the shop's owner sets: tax rates, ways of delivery. Orders already placed keep what they were sold at."""

import re
from decimal import Decimal
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.postal import countries
from orders.admin.money import AmountField, CurrencyField, MoneyForm
from orders.models import ShippingMethod, ShippingPrice, TaxRate
from orders.templatetags.shop import country as name_of
from orders.templatetags.shop import money

HUNDREDTHS: Final = 100  # of a per cent


def _known_countries() -> dict[str, str]:
    return dict(countries("en"))


# -- Tax --------------------------------------------------------------------------------------


class TaxRateForm(forms.ModelForm):  # type: ignore[type-arg]
    country = forms.ChoiceField(choices=lambda: [("", "---------"), *countries("en")], widget=UnfoldAdminSelectWidget)
    percent = forms.DecimalField(
        label="Per cent",
        min_value=0,
        max_value=100,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="As 21 or 8.1. Two decimal places at most.",
    )

    class Meta:
        model = TaxRate
        fields: ClassVar = ("country", "tax_class")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["percent"] = Decimal(self.instance.rate) / HUNDREDTHS

    def clean_tax_class(self) -> str:
        return str(self.cleaned_data["tax_class"]).strip().lower()

    def clean_percent(self) -> Decimal:
        percent: Decimal = self.cleaned_data["percent"]
        self.instance.rate = int(percent * HUNDREDTHS)
        return percent


@admin.register(TaxRate)
class TaxRateAdmin(ModelAdmin):
    form = TaxRateForm
    list_display = ("country_name", "tax_class", "percent")
    list_filter = ("tax_class",)
    search_fields = ("country",)
    ordering = ("country", "tax_class")
    show_full_result_count = False
    fields = ("country", "tax_class", "percent")

    @display(description="country", ordering="country")
    def country_name(self, row: TaxRate) -> str:
        return name_of(row.country)

    @display(description="rate", ordering="rate")
    def percent(self, row: TaxRate) -> str:
        return f"{Decimal(row.rate) / HUNDREDTHS:f} %"


# -- Delivery ---------------------------------------------------------------------------------


class ShippingPriceForm(MoneyForm):
    amounts: ClassVar = {"amount": "price", "free_from_amount": "free_from"}
    currency = CurrencyField()
    amount = AmountField(label="Price")
    free_from_amount = AmountField(label="Free from goods for", required=False)

    class Meta:
        model = ShippingPrice
        fields: ClassVar = ("currency",)


class PricesInline(TabularInline):
    model = ShippingPrice
    form = ShippingPriceForm
    fields = ("currency", "amount", "free_from_amount")
    extra = 0
    min_num = 1
    hide_title = True
    verbose_name = "price"


class ShippingMethodForm(forms.ModelForm):  # type: ignore[type-arg]
    only_to = forms.CharField(
        label="Only to",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The letters of countries, as NL, DE, BE. Empty: anywhere.",
    )

    class Meta:
        model = ShippingMethod
        fields: ClassVar = ("code", "name", "position", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["only_to"] = ", ".join(self.instance.countries)

    def clean_only_to(self) -> str:
        typed: str = self.cleaned_data["only_to"]
        codes = [code.upper() for code in re.split(r"[\s,;]+", typed) if code]
        unknown = [code for code in codes if code not in _known_countries()]
        if unknown:
            raise ValidationError(f"No country has the letters {', '.join(unknown)}.")
        self.instance.countries = sorted(set(codes))
        return typed


@admin.register(ShippingMethod)
class ShippingMethodAdmin(ModelAdmin):
    form = ShippingMethodForm
    list_display = ("name", "code", "prices_words", "to", "is_active")
    ordering = ("position", "code")
    show_full_result_count = False
    fields = ("code", "name", "only_to", "position", "is_active")
    inlines = (PricesInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ShippingMethod]:
        return super().get_queryset(request).prefetch_related("prices")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("code",) if obj else ()  # orders and programs know it by this name

    @display(description="prices")
    def prices_words(self, row: ShippingMethod) -> str:
        return (
            ", ".join(money(price.price, price.currency) for price in row.prices.all()) or "none: nobody can choose it"
        )

    @display(description="only to")
    def to(self, row: ShippingMethod) -> str:
        return ", ".join(row.countries) or "anywhere"
