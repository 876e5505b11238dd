"""The buyer calls an order off: a page that says what happens then, and its one button."""

import hashlib
import uuid

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from orders import cart as carts
from orders import fulfilment, links
from orders.idempotency import Key, KeyReused
from orders.models import Order
from orders.repayment import refundable
from orders.standing import can_be_cancelled
from orders.status import WrongStatus
from orders.views.http import SeeOther, beside


@never_cache
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, number: str) -> HttpResponse:
    found = get_object_or_404(Order.objects.prefetch_related("attempts"), number=number)
    if not links.may_cancel(found, user=request.user, key=request.GET.get("key", "")):
        raise Http404
    if request.method == "POST":
        return _cancel(request, found)
    return _page(request, found)


def _cancel(request: HttpRequest, found: Order) -> HttpResponse:
    try:
        after = fulfilment.cancel(order=found, reason=_("cancelled by the buyer"), key=_key(request, found))
    except WrongStatus:
        found.refresh_from_db()
        if found.status != Order.Status.CANCELLED:
            return _page(request, found, refused=True, status=409)
        return SeeOther(beside(request, "order", found.number))  # pressed twice, in two tabs: it is as was wished
    except KeyReused:
        return _page(request, found, status=422)
    if after.status == Order.Status.CANCELLED:
        messages.success(request, _("The order is cancelled."))
    return SeeOther(beside(request, "order", found.number))


def _page(request: HttpRequest, found: Order, *, refused: bool = False, status: int = 200) -> HttpResponse:
    facts = {
        "order": found,
        "lines": found.lines.order_by("pk"),
        "can_cancel": can_be_cancelled(found),
        "refused": refused,
        "back": refundable(found),
        "order_url": beside(request, "order", found.number),
        "fresh_key": uuid.uuid4(),
    }
    return render(request, "orders/cancel.html", facts, status=status)


def _key(request: HttpRequest, found: Order) -> Key:
    """The page's own key, in the name of this visitor: a press that comes twice is one."""
    name = request.POST.get("key", "")[:64] or uuid.uuid4().hex
    asked = hashlib.sha256(f"cancel {found.number}".encode()).hexdigest()
    return Key(scope=f"shopper:{carts.visitor(request.session)}", key=name, request_hash=asked)
