"""Vouchers: what they take off, for whom, how often. Orders keep what they were sold with."""

import re
import secrets
from decimal import Decimal
from typing import Any, ClassVar, Final

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from notifications.marks import badge
from orders.admin.money import AmountField, CurrencyField, minor_units, written
from orders.models import Voucher
from orders.templatetags.shop import money

USES_SHOWN: Final = 20
# No 0, 1, I, L, O or U to be misread; ten of them are not found by trying.
_LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def is_used(voucher: Voucher | None) -> bool:
    """Whether an order was ever sold with it: then what it takes off stays as it was."""
    return voucher is not None and voucher.pk is not None and voucher.taken.exists()


def _new_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(10))


class VoucherForm(forms.ModelForm):  # type: ignore[type-arg]
    currency = CurrencyField(required=False, help_text="Only orders in this currency. An amount needs one.")
    worth = AmountField(label="Less", help_text="So many per cent, or so much money: 10 or 4.90.")
    least = AmountField(label="Goods for at least", required=False)

    class Meta:
        model = Voucher
        fields: ClassVar = (
            *("code", "kind", "currency", "most", "most_each", "first_order_only"),
            *("starts_at", "ends_at", "is_active"),
        )
        labels: ClassVar = {"most": "Uses altogether", "most_each": "Uses by one customer"}
        help_texts: ClassVar = {"most": "Empty: no limit.", "most_each": "By e-mail address. Empty: no limit."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kept = self.instance
        self.initial.setdefault("code", _new_code())
        if kept.pk:
            percent = kept.kind == Voucher.Kind.PERCENT
            self.initial["worth"] = kept.value if percent else written(kept.value, self._currency(kept.currency))
            self.initial["least"] = written(kept.minimum, self._currency(kept.currency))
        if is_used(kept):
            # Shown and not asked: what is sent for them all the same finds no field.
            for name in ("kind", "worth", "currency"):
                self.fields.pop(name, None)

    def _currency(self, chosen: str) -> str:
        return chosen or settings.CURRENCY

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"]).strip().upper()
        if not re.fullmatch(r"[A-Z0-9_-]{3,40}", code):
            raise ValidationError("Three to forty letters, digits, - or _.")
        return code

    def clean_most(self) -> int | None:
        most: int | None = self.cleaned_data["most"]
        if most is not None and most < self.instance.uses:
            raise ValidationError(f"It has been used {self.instance.uses} times.")
        return most

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        kind = cleaned.get("kind", self.instance.kind)
        currency = cleaned.get("currency", self.instance.currency)
        if kind == Voucher.Kind.AMOUNT and not currency and "currency" not in self.errors:
            self.add_error("currency", "An amount of money needs a currency.")
        self._keep("worth", "value", cleaned, kind, currency)
        self._keep("least", "minimum", cleaned, Voucher.Kind.AMOUNT, currency)
        return cleaned

    def _keep(self, name: str, column: str, cleaned: dict[str, Any], kind: str, currency: str) -> None:
        if name not in cleaned:
            return
        typed = cleaned[name] or Decimal(0)
        try:
            units = int(typed) if kind == Voucher.Kind.PERCENT else minor_units(typed, self._currency(currency))
        except ValidationError as error:
            self.add_error(name, error)
            return
        if kind == Voucher.Kind.PERCENT and (typed != units or not 1 <= units <= 100):
            self.add_error(name, "A whole number of per cent, 1 to 100.")
        elif name == "worth" and not units:
            self.add_error(name, "More than nothing.")
        setattr(self.instance, column, units)


@admin.register(Voucher)
class VoucherAdmin(ModelAdmin):
    form = VoucherForm
    list_display = ("code", "less", "used", "limits", "until", "stands")
    list_filter = ("is_active", "kind")
    search_fields = ("code",)
    ordering = ("-pk",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Voucher]:
        # Whoever saves one must not write down a count of uses that was read before somebody used it.
        rows: QuerySet[Voucher] = super().get_queryset(request)
        return rows.select_for_update() if request.method == "POST" and connection.in_atomic_block else rows

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        worth = ("code", "less", "currency") if is_used(obj) else ("code", "kind", "worth", "currency")
        rest = ("least", "most", "most_each", "first_order_only", "starts_at", "ends_at", "is_active")
        return (*worth, *rest, *(("used", "last_uses") if obj else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # What orders were sold with is not changed behind their back: an edit of one counts it anew.
        return ("used", "last_uses", *(("code", "less", "currency") if is_used(obj) else ()))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not is_used(obj)

    @display(description="less")
    def less(self, row: Voucher) -> str:
        return f"{row.value} %" if row.kind == Voucher.Kind.PERCENT else money(row.value, row.currency)

    @display(description="used", ordering="uses")
    def used(self, row: Voucher) -> str:
        return f"{row.uses} of {row.most}" if row.most is not None else f"{row.uses}"

    @display(description="for")
    def limits(self, row: Voucher) -> str:
        said = ["first orders"] if row.first_order_only else []
        said += [f"each customer {row.most_each} ×"] if row.most_each is not None else []
        said += [f"from {money(row.minimum, row.currency or settings.CURRENCY)}"] if row.minimum else []
        return ", ".join(said) or "everybody"

    @display(description="until", ordering="ends_at")
    def until(self, row: Voucher) -> str:
        return f"{row.ends_at:%d %B %Y, %H:%M}" if row.ends_at else "no end"

    @display(description="state")
    def stands(self, row: Voucher) -> SafeString:
        if not row.is_active:
            return badge("off", "calm")
        spent = row.most is not None and row.uses >= row.most
        return badge("used up", "warn") if spent else badge("on", "good")

    @display(description="last orders with it")
    def last_uses(self, row: Voucher) -> SafeString | str:
        uses = row.taken.select_related("order").order_by("-pk")[:USES_SHOWN]
        links = (
            (
                reverse("admin:orders_order_change", args=[use.order_id]),
                use.order.number,
                use.get_state_display().lower(),
            )
            for use in uses
        )
        return format_html_join(", ", '<a class="wb-link" href="{}">{}</a> {}', links) or "none"
