"""The order's page, for those who may see it, and its moving part."""

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from notifications.audit import log as audit
from notifications.models import Delivery
from orders import cart, links
from orders.models import Order, Refund
from orders.returning import can_be_sent_back, open_request
from orders.standing import Standing, standing
from orders.timeline import SideEffect, progress, side_effects
from orders.views.http import SeeOther, beside, whole_number

STOP_POLLING: Final = 286  # htmx's own number for it
SENT: Final = (Order.Status.PARTLY_SHIPPED, Order.Status.SHIPPED, Order.Status.COMPLETED)
ENDED: Final = {Delivery.State.DONE, Delivery.State.DEAD, Delivery.State.CANCELLED}
BRISK, CALM = 1, 5  # seconds between two looks at an order
BRISK_FOR: Final = 30  # seconds; what takes longer waits for somebody else's machine


@never_cache
@require_GET
def order(request: HttpRequest, number: str) -> HttpResponse:
    if "key" not in request.GET and cart.is_paying(request.session, number):
        # Back from the bank, which was told the bare address only: the signed link opens the page, and its parts.
        return SeeOther(links.guest_path(get_object_or_404(Order, number=number)))
    found = _visible_order(request, number)
    facts = _live(request, found, since=int(time.time()), now=int(time.time()))
    return render(request, "orders/order.html", facts)


@never_cache
@require_GET
def order_progress(request: HttpRequest, number: str) -> HttpResponse:
    """The moving part of the page: 204 while nothing is new, 286 when nothing will move any more."""
    found = _visible_order(request, number)
    since = whole_number(request.GET.get("since"))
    facts = _live(request, found, since=since, now=int(time.time()))
    if facts["settled"]:
        return render(request, "orders/_progress.html", facts | {"swap": True}, status=STOP_POLLING)
    if request.GET.get("seen") == facts["seen"]:
        return HttpResponse(status=204)
    return render(request, "orders/_progress.html", facts | {"swap": True})


@never_cache
@require_GET
def receipt(request: HttpRequest, number: str) -> HttpResponse:
    found = _visible_order(request, number)
    return render(
        request,
        "orders/receipt.html",
        {
            "order": found,
            "lines": found.lines.order_by("pk"),
            "papers": found.invoices.order_by("pk"),
            "given_back": found.refunds.filter(state=Refund.State.DONE).order_by("finished_at"),
            "order_url": beside(request, "order", number),
        },
    )


def _visible_order(request: HttpRequest, number: str) -> Order:
    """The order, for those who may see it; for all others there is no such page."""
    found = get_object_or_404(Order.objects.prefetch_related("attempts"), number=number)
    if not links.may_see(found, user=request.user, key=request.GET.get("key", "")):
        raise Http404
    if getattr(request.user, "is_staff", False) and found.user_id != request.user.pk and request.resolver_match:
        _note_look(request.resolver_match.url_name, found)
    return found


def _note_look(page: str | None, found: Order) -> None:
    """Staff look at somebody's page. Its moving part, asked for each second, is the same look."""
    if page != "order_progress":
        audit.record("order.viewed", about=found)


def _live(request: HttpRequest, found: Order, *, since: int, now: int) -> dict[str, Any]:
    steps, effects, stands = progress(found), side_effects(found), standing(found)
    every = BRISK if now - since < BRISK_FOR else CALM
    state: list[Any] = [found.status, stands.payment, stands.news, stands.coming_back, stands.given_back, every]
    state += [parcel.pk for parcel in stands.parcels]
    state += [(step.name, step.state) for step in steps]
    state += [(effect.handler, effect.state, effect.attempts, str(effect.next_attempt_at)) for effect in effects]
    seen = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]
    return {
        "order": found,
        "lines": found.lines.order_by("pk"),  # read by the whole page alone
        "stands": stands,
        "steps": steps,
        "effects": [effect for effect in effects if effect.words],
        "settled": _is_settled(found, stands, effects),
        "seen": seen,
        "every": every,
        "cancel_url": beside(request, "cancel", found.number) if _may_cancel(request, found, stands) else "",
        "send_back_url": beside(request, "send_back", found.number) if _may_send_back(request, found) else "",
        "receipt_url": beside(request, "receipt", found.number),
        "progress_url": beside(request, "order_progress", found.number, since=since, seen=seen),
    }


def _may_cancel(request: HttpRequest, found: Order, stands: Standing) -> bool:
    return stands.can_cancel and links.may_cancel(found, user=request.user, key=request.GET.get("key", ""))


def _may_send_back(request: HttpRequest, found: Order) -> bool:
    if found.status not in SENT:
        return False
    may = links.may_cancel(found, user=request.user, key=request.GET.get("key", ""))
    return may and can_be_sent_back(found) and open_request(found) is None


def _is_settled(found: Order, stands: Standing, effects: Sequence[SideEffect]) -> bool:
    """Nothing that a buyer waits for will move any more by itself."""
    if found.status == Order.Status.PLACED or stands.approve_url:
        return False
    # What order.placed set off only watches over the payment, and that is known now.
    return all(effect.state in ENDED for effect in effects if effect.event != "order.placed")
