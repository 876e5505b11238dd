"""Addresses that a parcel can go to: their fields, at checkout and in the address book."""

import unicodedata
from functools import cache
from typing import Any, Final

from babel import Locale
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext_lazy as _

ADDRESS_FIELDS: Final = ("name", "line1", "line2", "postal_code", "city", "country")
# CLDR lists these beside the countries: unions, test codes and the unknown.
_NOT_COUNTRIES: Final = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}


@cache
def countries(locale: str) -> tuple[tuple[str, str], ...]:
    """Every country by its name in that language."""
    territories = Locale.parse(locale).territories.items()
    found = [(code, name) for code, name in territories if code.isalpha() and len(code) == 2]
    return tuple(sorted((pair for pair in found if pair[0] not in _NOT_COUNTRIES), key=lambda pair: pair[1]))


def one_line(text: str) -> None:
    """Refuse what would start a new line on a label or in a packing list: it could pass for one of ours."""
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValidationError(_("This may not contain line breaks or control characters."))


def line(label: Any, *, autocomplete: str, length: int, required: bool = True) -> forms.CharField:
    """A field of one line."""
    widget = forms.TextInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, max_length=length, required=required, widget=widget, validators=[one_line])


def _country_choices() -> list[tuple[str, str]]:
    return [("", str(_("Choose a country"))), *countries(to_locale(get_language() or "en"))]


class AddressForm(forms.Form):
    use_required_attribute = True

    name = line(_("Name"), autocomplete="shipping name", length=100)
    line1 = line(_("Street and number"), autocomplete="shipping address-line1", length=100)
    line2 = line(_("Flat, floor, company"), autocomplete="shipping address-line2", length=100, required=False)
    postal_code = line(_("Postal code"), autocomplete="shipping postal-code", length=20)
    city = line(_("Town or city"), autocomplete="shipping address-level2", length=100)
    country = forms.ChoiceField(
        label=_("Country"),
        choices=_country_choices,
        widget=forms.Select(attrs={"autocomplete": "shipping country", "class": "costing"}),
    )

    def address(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ADDRESS_FIELDS}
