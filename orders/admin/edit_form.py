"""Staff change the lines of an order: first the price difference is shown, then the same form is sent for good."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import messages

from orders.admin.action_forms import ActionForm, Done, S
from orders.editing import edit
from orders.idempotency import Key
from orders.models import Order, OrderEdit, OrderLine, Product
from orders.offers import sold_in
from orders.pricing import MOST_OF_ONE, Item
from orders.revising import Revision, revise
from orders.templatetags.shop import money


class EditForm(ActionForm):
    name, title, button = "edit", "Change the lines", "See what it costs"
    count_label = "New quantity"
    template = "orders/admin/edit.html"

    more = forms.ChoiceField(label="Add a product", required=False)
    more_quantity = forms.IntegerField(label="How many of it", required=False, min_value=1, max_value=MOST_OF_ONE)
    # The total that the page showed: an edit is applied at this one, or shown anew.
    expected = forms.IntegerField(required=False, widget=forms.HiddenInput)
    field_order = ("key", "more", "more_quantity", "reason", "expected")

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, order=order, **kwargs)
        self.revision: Revision | None = None
        here = [line.product_id for line in self.order_lines]
        country = order.shipping_address.get("country", "")
        others = Product.objects.active().exclude(pk__in=here).exclude(stock=None)
        offered = sold_in(others, currency=order.currency, country=country).exclude(unit_price=None).order_by("name")
        priced = [(product.sku, f"{product.name}, {money(product.unit_price, order.currency)}") for product in offered]
        self.fields["more"] = forms.ChoiceField(
            label="Add a product", required=False, choices=[("", "nothing"), *priced]
        )
        self.order_fields(self.field_order)

    @classmethod
    def possible(cls, order: Order) -> bool:
        untouched = not any(line.shipped or line.cancelled or line.refunded for line in order.lines.all())
        return order.status == S.PAID and untouched

    def left(self, line: OrderLine) -> int:
        return MOST_OF_ONE

    def first_offer(self, line: OrderLine) -> int:
        return line.quantity

    def consequences(self) -> Iterator[str]:
        yield "What is in the order keeps its price, what is new gets today's. Delivery stays as it is."
        yield "If it costs more, the buyer's card is charged for the difference; if less, the difference goes back."

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("more") and not cleaned.get("more_quantity") and "more_quantity" not in self.errors:
            cleaned["more_quantity"] = 1
        return cleaned

    def items(self) -> list[Item]:
        items = [Item(sku=units.sku, quantity=units.quantity) for units in self.units()]
        more = self.cleaned_data.get("more")
        return [*items, Item(sku=more, quantity=self.cleaned_data["more_quantity"])] if more else items

    def preview(self) -> None:
        """Work out what the order would be; the page then offers to do it. Raises InvalidOrder."""
        self.revision = revise(self.order, self.items())

    @property
    def difference(self) -> int:
        return self.revision.total - self.order.total if self.revision else 0

    @property
    def back(self) -> int:
        return max(-self.difference, 0)

    def is_agreed(self) -> bool:
        """Whether what would be done is what the page has shown."""
        return self.revision is not None and self.cleaned_data.get("expected") == self.revision.total

    def carry_out(self, key: Key) -> Done:
        made = edit(order=self.order, lines=self.items(), reason=self.cleaned_data["reason"], key=key)
        amount = money(abs(made.difference), self.order.currency)
        if made.state == OrderEdit.State.PENDING:
            return messages.WARNING, f"The bank has not said whether {amount} is paid. The change holds when it is."
        ended = {1: f"{amount} was charged.", -1: f"{amount} goes back to the buyer.", 0: "It costs the same."}
        sign = (made.difference > 0) - (made.difference < 0)
        return messages.SUCCESS, f"The order is changed. {ended[sign]}"

    def asked(self) -> str:
        self.cleaned_data.pop("expected", None)
        return super().asked()
