"""Each letter as it would be for one order, before any buyer gets it."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.views.decorators.clickjacking import xframe_options_sameorigin

from notifications.audit import log as audit
from notifications.mail.letters import Rendered
from notifications.views.mailbox import LETTER_POLICY, LETTER_SANDBOX
from orders import letters
from orders.models import Order


class LetterPreviews(admin.ModelAdmin):  # type: ignore[type-arg]
    """The pages of the previews, for the admin of orders."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/letters/<slug:name>/", wrap(self.preview_view), name="orders_order_letter"),
            path("<int:pk>/letters/<slug:name>/html/", wrap(self.preview_html), name="orders_order_letter_html"),
            *super().get_urls(),
        ]

    def preview_view(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        order = self._order(request, pk)
        audit.record("order.viewed", about=order)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Letters of {order.number}",
            "opts": self.opts,
            "row": order,
            "name": name,
            "words": {name: name.replace("_", " ").capitalize() for name in letters.PREVIEWS},
            "letter": _rendered(name, order),
            "sandbox": LETTER_SANDBOX,
        }
        return TemplateResponse(request, "orders/admin/letter_preview.html", context)

    @method_decorator(xframe_options_sameorigin)
    def preview_html(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """The HTML part alone, locked in by its own policy."""
        letter = _rendered(name, self._order(request, pk))
        return HttpResponse(letter["html"], headers={"Content-Security-Policy": LETTER_POLICY})

    def _order(self, request: HttpRequest, pk: int) -> Any:
        order = get_object_or_404(Order, pk=pk)
        if not self.has_view_permission(request, order):
            raise PermissionDenied
        return order


def _rendered(name: str, order: Order) -> Rendered:
    if name not in letters.PREVIEWS:
        raise Http404(f"There is no letter {name}.")
    return letters.preview(name, order)
