"""What a buyer says who wants to send things back."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from orders.models import Order, OrderLine
from orders.refunds import BadUnits, Units
from orders.returning import LONGEST_WORDS


class ReturnRequestForm(forms.Form):
    """So many of each line, and why."""

    words = forms.CharField(
        label=_("What is wrong with it, or why you do not want it"),
        max_length=LONGEST_WORDS,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order = order
        self._lines = {line: line.shipped - line.returned for line in order.lines.all()}
        for line, left in self._lines.items():
            if left:
                self.fields[_field(line)] = _count(line, left)

    def rows(self) -> Iterator[tuple[OrderLine, Any, int]]:
        for line, left in self._lines.items():
            if left:
                yield line, self[_field(line)], left

    def units(self) -> list[Units]:
        said = {line: self.cleaned_data.get(_field(line)) for line in self._lines}
        return [Units(sku=line.sku, quantity=count) for line, count in said.items() if count]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not self.units():
            raise ValidationError(_("Say how many of which thing you want to send back."))
        return cleaned

    def blame(self, refusal: BadUnits) -> None:
        """The order has changed since the page was shown."""
        names = {line.sku: _field(line) for line in self._lines}
        name = names.get(refusal.sku)
        words = _("Only %(left)s possible.") % {"left": refusal.left}
        self.add_error(name if name in self.fields else None, words)


def _field(line: OrderLine) -> str:
    return f"units_{line.pk}"


def _count(line: OrderLine, left: int) -> forms.IntegerField:
    return forms.IntegerField(
        label=line.name,
        required=False,
        min_value=0,
        max_value=left,
        initial=0,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )
