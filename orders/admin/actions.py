"""Staff's buttons on an order: each a page of its own that says what will happen, and does it once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from orders import refunds
from orders.admin.action_forms import (
    ActionForm,
    CancelForm,
    DeclineReturnForm,
    Done,
    RefundForm,
    ReturnForm,
    ShipForm,
    told_of,
)
from orders.admin.edit_form import EditForm
from orders.editing import DifferenceDeclined, InvalidOrder, NotEditable
from orders.fulfilment import NotPaid
from orders.idempotency import Key, KeyReused
from orders.inventory import OutOfStock
from orders.models import Order, Refund
from orders.refunds import BadUnits, OverRefund
from orders.returning import AlreadyAnswered
from orders.status import WrongStatus
from orders.templatetags.shop import money

FORMS: Final = (ShipForm, RefundForm, ReturnForm, DeclineReturnForm, EditForm, CancelForm)
REFUSALS: Final = (
    *(
        OverRefund,
        BadUnits,
        WrongStatus,
        NotPaid,
        NotEditable,
        DifferenceDeclined,
        OutOfStock,
        InvalidOrder,
        KeyReused,
        AlreadyAnswered,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Button:
    words: str
    url: str


def buttons(request: HttpRequest, order: Order) -> Iterator[Button]:
    """What this person may do with the order as it is."""
    for form in FORMS:
        if request.user.has_perm(form.permission()) and form.possible(order):
            yield Button(words=form.title, url=reverse(f"admin:orders_order_{form.name}", args=[order.pk]))


class OrderActions(admin.ModelAdmin):  # type: ignore[type-arg]
    """The pages of the buttons, for the admin of orders."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        pages = [
            path(f"<int:pk>/{form.name}/", wrap(self.action_view), {"form_class": form}, f"orders_order_{form.name}")
            for form in FORMS
        ]
        again = path(
            "<int:pk>/refund/<uuid:refund>/again/", wrap(require_POST(self.again_view)), name="orders_order_again"
        )
        return [*pages, again, *super().get_urls()]

    def action_view(self, request: HttpRequest, pk: int, form_class: type[ActionForm]) -> HttpResponse:
        order = self._to_change(request, pk, form_class.permission())
        form = form_class(request.POST or None, order=order)
        if not form.is_bound:
            return self._action_page(request, form)
        done = self._do(request, form) if form.is_valid() else None
        if done is None:
            return self._action_page(request, form, status=422 if form.errors else 200)
        self.message_user(request, done[1], done[0])
        return redirect("admin:orders_order_change", pk)

    def _do(self, request: HttpRequest, form: ActionForm) -> Done | None:
        """What was done; None when the page is shown again, with what was refused or with what it would cost."""
        try:
            if isinstance(form, EditForm):
                form.preview()
                if not form.is_agreed():
                    return None
            return form.carry_out(_key(request, form.cleaned_data["key"], form.asked()))
        except REFUSALS as refusal:
            form.order.refresh_from_db()
            blame(form, refusal)
            return None

    def _action_page(self, request: HttpRequest, form: ActionForm, *, status: int = 200) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": form.title,
            "original": form.order,
            "row": form.order,
            "form": form,
            "possible": form.possible(form.order),
            "consequences": list(form.consequences()),
            "back": reverse("admin:orders_order_change", args=[form.order.pk]),
        }
        return TemplateResponse(request, form.template, context, status=status)

    def again_view(self, request: HttpRequest, pk: int, refund: Any) -> HttpResponse:
        """Ask the bank once more for a refund that did not work: a new refund of the same amount and lines."""
        order = self._to_change(request, pk, RefundForm.permission())
        lost = get_object_or_404(Refund, pk=refund, order=order, state=Refund.State.FAILED)
        level, words = _again(request, lost)
        self.message_user(request, words, level)
        return redirect("admin:orders_order_change", pk)

    def _to_change(self, request: HttpRequest, pk: int, permission: str) -> Order:
        if not (request.user.has_perm(permission) and self.has_view_permission(request)):
            raise PermissionDenied
        return get_object_or_404(Order.objects.prefetch_related("attempts", "lines"), pk=pk)


def _again(request: HttpRequest, lost: Refund) -> Done:
    try:
        key = _key(request, request.POST.get("key", ""), f"again {lost.pk}")
        made = refunds.again(lost=lost, key=key)
    except OverRefund as refusal:
        return messages.WARNING, f"Nothing was done: only {money(refusal.left, lost.currency)} is left to give back."
    except (BadUnits, WrongStatus, KeyReused):
        return messages.WARNING, "Nothing was done: the order has changed since. Look at what is here now."
    return told_of(made)


def _key(request: HttpRequest, name: Any, asked: str) -> Key:
    return Key(scope=f"staff:{request.user.pk}", key=str(name or uuid4())[:64], request_hash=asked)


# -- what was refused, in words beside the field ------------------------------------------------


def blame(form: ActionForm, refusal: Exception) -> None:
    """Say in the form what was refused and why. Nothing was done, and nothing typed is lost."""
    if isinstance(refusal, KeyReused | DifferenceDeclined):
        form.renew_key()
    match refusal:
        case OverRefund():
            left = f"Only {form.money(refusal.left)} is left to give back." if refusal.left else str(refusal)
            form.add_error("amount" if form.data.get("what") == "amount" else None, left)
        case BadUnits():
            names = {line.sku: f"units_{line.pk}" for line in form.order_lines}
            form.add_error(names.get(refusal.sku), f"Only {refusal.left} possible.")
        case OutOfStock():
            for short in refusal.lines:
                form.add_error(None, f"{short.sku}: {short.wanted} more wanted, {short.available} on the shelf.")
        case InvalidOrder():
            for error in refusal.errors:
                form.add_error(None, error.detail)
        case KeyReused():
            form.add_error(None, "This page was sent before with other words in it. Look at the order, then send it.")
        case _:
            form.add_error(None, _in_words(form.order, refusal))


def _in_words(order: Order, refusal: Exception) -> str:
    if isinstance(refusal, WrongStatus):
        return f"Nothing was done: {refusal}."
    if isinstance(refusal, NotPaid):
        return f"Nothing was shipped: {refusal}"
    if isinstance(refusal, DifferenceDeclined):
        return f"The bank declined the difference ({refusal}). Nothing was charged, and {order} stays as it was."
    return f"Nothing was done. {refusal}"
