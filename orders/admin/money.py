"""Money in staff's forms: typed as people write it, 12.90, and kept as the shop does, 1290."""

from decimal import Decimal
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError
from moneyed import CURRENCIES, get_currency
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from orders.pricing import MOST_TO_PAY

# ISO 4217 also lists what nobody pays with: testing, metals, funds.
_NO_MONEY: Final = ("XXX", "XTS")


def known_currency(code: str) -> str:
    """The code in capitals. Raises ValidationError when there is no such currency."""
    code = code.strip().upper()
    if code not in CURRENCIES or code in _NO_MONEY:
        raise ValidationError(f"{code or 'Nothing'} is no currency: three letters of ISO 4217, like EUR.")
    return code


def minor_units(amount: Decimal, currency: str) -> int:
    """12.90 and "EUR" are 1290. Raises ValidationError for parts of a cent, and for more than can be paid."""
    units = amount * get_currency(currency).sub_unit
    if units != units.to_integral_value():
        places = len(str(get_currency(currency).sub_unit)) - 1
        raise ValidationError(f"An amount in {currency} has {places or 'no'} decimal places.")
    if units > MOST_TO_PAY:
        raise ValidationError(f"At most {written(MOST_TO_PAY, currency)}.")
    return int(units)


def written(units: int, currency: str) -> Decimal:
    """1290 and "EUR" are 12.90; 1290 and "JPY" are 1290."""
    sub_unit = get_currency(currency).sub_unit
    return (Decimal(units) / sub_unit).quantize(Decimal(1) / sub_unit)


class CurrencyField(forms.CharField):
    widget = UnfoldAdminTextInputWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 3, "label": "Currency", **options})

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {**super().widget_attrs(widget), "aria-label": self.label}  # in a table of rows there is no label

    def clean(self, value: Any) -> str:
        code: str = super().clean(value)
        return known_currency(code) if code else ""


class AmountField(forms.DecimalField):
    widget = UnfoldAdminDecimalFieldWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_digits": 14, "min_value": Decimal(0), **options})

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {**super().widget_attrs(widget), "step": "any", "aria-label": self.label}


class MoneyForm(forms.ModelForm):  # type: ignore[type-arg]
    """`amounts` names the form's fields that are money, each with the column it is kept in."""

    amounts: ClassVar[dict[str, str]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, column in self.amounts.items():
            kept = getattr(self.instance, column)
            if kept is not None and self.instance.pk:
                self.initial[name] = written(kept, self.currency_of(self.instance))

    def currency_of(self, instance: Any) -> str:
        currency: str = instance.currency
        return currency

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        currency = cleaned.get("currency") or self.currency_of(self.instance)
        for name, column in self.amounts.items():
            if name not in cleaned or "currency" in self.errors:
                continue
            try:
                units = None if cleaned[name] is None else minor_units(cleaned[name], currency)
            except ValidationError as error:
                self.add_error(name, error)
            else:
                setattr(self.instance, column, units)
        return cleaned
