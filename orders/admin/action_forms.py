"""The forms of staff's buttons on an order: what each asks, says beforehand, and does."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.functional import cached_property

from orders import fulfilment, refunds, returning
from orders.admin.money import AmountField, minor_units
from orders.idempotency import Key
from orders.models import Order, OrderLine, PaymentAttempt, Refund
from orders.refunds import Units
from orders.repayment import refundable
from orders.templatetags.shop import money

Done = tuple[int, str]  # the level of the message, and its words
S = Order.Status
LEAST: Final = Decimal("0.001")


class ActionForm(forms.Form):
    """One button. `carry_out` does it under the page's key, and raises what the shop's verbs raise."""

    name: ClassVar[str]
    title: ClassVar[str]
    button: ClassVar[str]
    count_label: ClassVar[str] = ""
    template: ClassVar[str] = "orders/admin/action.html"

    key = forms.UUIDField(widget=forms.HiddenInput)
    reason = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "%s", **kwargs})
        self.order = order
        self.initial["key"] = uuid.uuid4()
        self.order_lines = list(order.lines.order_by("pk"))
        for line in self.order_lines if self.count_label else ():
            self.fields[f"units_{line.pk}"] = self.units_field(line)

    @classmethod
    def permission(cls) -> str:
        return f"orders.{cls.name}_order"

    @classmethod
    def possible(cls, order: Order) -> bool:
        """Whether the button is shown; the verb itself decides when it is pressed."""
        raise NotImplementedError

    def carry_out(self, key: Key) -> Done:
        raise NotImplementedError

    def consequences(self) -> Iterator[str]:
        yield from ()

    # -- units of lines ----------------------------------------------------------------------

    def left(self, line: OrderLine) -> int:
        return 0

    def first_offer(self, line: OrderLine) -> int:
        return 0

    def units_field(self, line: OrderLine) -> forms.IntegerField:
        left = self.left(line)
        widget = forms.NumberInput(attrs={"aria-label": f"{self.count_label}: {line.name}", "readonly": left == 0})
        return forms.IntegerField(
            label=line.name,
            required=False,
            min_value=0,
            max_value=left,
            initial=self.first_offer(line),
            widget=widget,
            error_messages={"max_value": "Only %(limit_value)s possible.", "min_value": "Not fewer than none."},
        )

    def rows(self) -> Iterator[tuple[OrderLine, Any, int]]:
        for line in self.order_lines if self.count_label else ():
            yield line, self[f"units_{line.pk}"], self.left(line)

    def units(self) -> list[Units]:
        chosen = ((line, self.cleaned_data.get(f"units_{line.pk}")) for line in self.order_lines)
        return [Units(sku=line.sku, quantity=count) for line, count in chosen if count]

    def others(self) -> list[Any]:
        """The fields beside the lines, in the order in which they are asked."""
        return [field for field in self.visible_fields() if not field.name.startswith("units_")]

    def renew_key(self) -> None:
        """The key has had its answer: the next press is another one."""
        data = QueryDict(mutable=True)
        data.update(self.data)
        data["key"] = str(uuid.uuid4())
        self.data = data

    def asked(self) -> str:
        """What this press asks for, as a hash: the same key with another one is refused."""
        said = {name: str(value) for name, value in self.cleaned_data.items() if name != "key"}
        words = json.dumps([self.name, self.order.pk, said], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()

    def money(self, amount: int) -> str:
        return money(amount, self.order.currency)


class RefundForm(ActionForm):
    name, title, button = "refund", "Give money back", "Refund"
    count_label = "Give back"

    what = forms.ChoiceField(
        label="How much",
        choices=[("all", "Everything that is left"), ("amount", "This amount"), ("lines", "These units")],
        initial="all",
        widget=forms.RadioSelect,
    )
    amount = AmountField(
        required=False, min_value=LEAST, widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"})
    )
    restock = forms.BooleanField(
        required=False, label="Put what has not left back on the shelf", help_text="It can then be sold to others."
    )
    field_order = ("key", "what", "amount", "restock", "reason")

    @classmethod
    def possible(cls, order: Order) -> bool:
        return order.status in refunds.REFUNDABLE and refundable(order) > 0

    def left(self, line: OrderLine) -> int:
        return line.quantity - line.refunded

    def consequences(self) -> Iterator[str]:
        left = refundable(self.order)
        taken = sum(attempt.captured for attempt in self.order.attempts.all())
        yield f"{self.money(taken)} was taken, {self.money(taken - left)} was given back. {self.money(left)} is left."
        unsent = [f"{line.shippable} × {line.name}" for line in self.order_lines if line.shippable]
        if unsent:
            yield f"Not sent yet: {', '.join(unsent)}. Units given back before they leave are taken out of the order."
        yield "When nothing is left, the order ends as refunded. The buyer gets a letter, and a credit note is written."

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        what = cleaned.get("what")
        if what == "amount" and not cleaned.get("amount") and "amount" not in self.errors:
            self.add_error("amount", "Type the amount.")
        if what == "amount" and cleaned.get("restock"):
            self.add_error("restock", "An amount says nothing of units: choose the units to put back.")
        if what == "lines" and not self.units() and not self.errors:
            self.add_error("what", "Choose how many of which line.")
        return cleaned

    def clean_amount(self) -> Decimal | None:
        amount: Decimal | None = self.cleaned_data["amount"]
        if amount is not None:
            minor_units(amount, self.order.currency)  # refuses parts of a cent
        return amount

    def carry_out(self, key: Key) -> Done:
        said = self.cleaned_data
        made = refunds.refund(
            order=self.order,
            amount=minor_units(said["amount"], self.order.currency) if said["what"] == "amount" else None,
            lines=self.units() if said["what"] == "lines" else (),
            reason=said["reason"],
            restock=said["restock"],
            key=key,
        )
        return told_of(made)


class CancelForm(ActionForm):
    name, title, button = "cancel", "Cancel the order", "Cancel the order"

    @classmethod
    def possible(cls, order: Order) -> bool:
        return order.status in (S.PLACED, S.PAID) and order.cancel_wanted_at is None

    def consequences(self) -> Iterator[str]:
        if self.order.status == S.PLACED:
            yield "The bank is asked to stop the payment. Should the money come first, it goes back by itself."
            yield "What is held for the order is for sale again as soon as the bank has answered."
            return
        for line in self.order_lines:
            if line.shippable:
                yield f"{line.shippable} × {line.name} goes back on the shelf."
        back = refundable(self.order)
        if back:
            yield f"{self.money(back)} goes back to the buyer."
        if any(attempt.state == PaymentAttempt.State.AUTHORIZED for attempt in self.order.attempts.all()):
            yield "The money that the bank holds is let go: the buyer is not charged."
        yield "The buyer gets a letter with the reason. This cannot be undone."

    def carry_out(self, key: Key) -> Done:
        after = fulfilment.cancel(order=self.order, reason=self.cleaned_data["reason"], key=key)
        if after.status == S.CANCELLED:
            back = list(Refund.objects.filter(order=after, cause=Refund.Cause.CANCELLED))
            level, words = told_of(back) if back else (messages.SUCCESS, "Nothing was charged.")
            return level, f"The order is cancelled. {words}"
        if after.status == S.PLACED:
            return messages.WARNING, "The bank has not answered yet. The order is cancelled as soon as it does."
        return messages.WARNING, f"The bank was faster: the order is {after.get_status_display().lower()} now."


class ShipForm(ActionForm):
    name, title, button = "ship", "Ship a parcel", "It has left"
    count_label = "In this parcel"

    reason = None  # type: ignore[assignment]
    carrier = forms.CharField(max_length=60, required=False)
    tracking = forms.CharField(max_length=100, required=False, label="Tracking number")

    @classmethod
    def possible(cls, order: Order) -> bool:
        return order.status in (S.PAID, S.PARTLY_SHIPPED) and any(line.shippable for line in order.lines.all())

    def left(self, line: OrderLine) -> int:
        return line.shippable

    first_offer = left

    def consequences(self) -> Iterator[str]:
        if any(attempt.state == PaymentAttempt.State.AUTHORIZED for attempt in self.order.attempts.all()):
            yield f"The bank holds {self.money(self.order.total)}: it is taken now, before anything is written down."
        yield "The buyer gets a letter with the carrier and the tracking number. What is not in it stays to ship."

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not self.units():
            raise ValidationError("Nothing is in this parcel: say how many of which line.")
        return cleaned

    def carry_out(self, key: Key) -> Done:
        said = self.cleaned_data
        parcel = fulfilment.ship(
            order=self.order, lines=self.units(), carrier=said["carrier"], tracking=said["tracking"], key=key
        )
        return messages.SUCCESS, f"Written down: {parcel} has left. The buyer is told."


class ReturnForm(ActionForm):
    name, title, button = "return", "Take goods back", "They are here"
    count_label = "Came back"

    restock = forms.BooleanField(required=False, initial=True, label="Put them on the shelf: they can be sold again")
    refund = forms.BooleanField(required=False, initial=True, label="Give the buyer what they cost")
    field_order = ("key", "restock", "refund", "reason")

    @classmethod
    def possible(cls, order: Order) -> bool:
        return any(line.shipped > line.returned for line in order.lines.all())

    def left(self, line: OrderLine) -> int:
        return line.shipped - line.returned

    def first_offer(self, line: OrderLine) -> int:
        """What the buyer wants to send back."""
        return min(dict(self._asked).get(line.sku, 0), self.left(line))

    @cached_property
    def _asked(self) -> list[tuple[str, int]]:
        asked = returning.open_request(self.order)
        return [(sku, count) for sku, count in asked.units] if asked else []

    def consequences(self) -> Iterator[str]:
        left = self.money(refundable(self.order))
        yield f"Of the money taken, {left} is left to give back. The price of the delivery is kept."

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not self.units():
            raise ValidationError("Nothing came back: say how many of which line.")
        return cleaned

    def carry_out(self, key: Key) -> Done:
        said = self.cleaned_data
        made = fulfilment.take_back(
            order=self.order,
            lines=self.units(),
            restock=said["restock"],
            refund=said["refund"],
            reason=said["reason"],
            key=key,
        )
        level, words = told_of(made) if made else (messages.SUCCESS, "No money was given back.")
        return level, f"The goods are counted. {words}"


class DeclineReturnForm(ActionForm):
    name, title, button = "decline-return", "Decline the return", "Say no"

    @classmethod
    def permission(cls) -> str:
        return ReturnForm.permission()

    @classmethod
    def possible(cls, order: Order) -> bool:
        return returning.open_request(order) is not None

    def consequences(self) -> Iterator[str]:
        yield "The buyer gets a letter with the reason. They can ask again."

    def carry_out(self, key: Key) -> Done:
        asked = returning.open_request(self.order)
        if asked is None:
            raise returning.AlreadyAnswered("The request has been answered before.")
        returning.decline(request=asked, answer=self.cleaned_data["reason"])
        return messages.SUCCESS, "The buyer is told that you do not take it back."


def told_of(made: list[Refund]) -> Done:
    """What became of the refunds, as far as it is known."""
    words = "; ".join(_told_of(one) for one in made)
    states = {one.state for one in made}
    if Refund.State.FAILED in states:
        return messages.ERROR, words
    return (messages.SUCCESS if states == {Refund.State.DONE} else messages.WARNING), words


def _told_of(one: Refund) -> str:
    amount = money(one.amount, one.currency)
    if one.state == Refund.State.DONE:
        return f"{amount} given back."
    if one.state == Refund.State.FAILED:
        return f"{amount} not given back: the bank refused ({one.code or 'no reason'}). The money is still ours."
    return f"{amount} is on its way: the bank has not said that it is done. It is followed up by itself."
