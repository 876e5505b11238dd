"""The first page of the staff: is everything running, and what needs a person?"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from notifications.context import current_health
from notifications.pipeline.failures import Failure
from notifications.pipeline.health import Health
from orders.admin.attention import needing_attention
from orders.models import Order
from orders.templatetags.shop import money

MOST_SHOWN = 5  # of each kind: the rest is a click away


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A number with the list behind it. tone: empty, good, warn or bad."""

    title: str
    value: str
    url: str
    note: str = ""
    tone: str = ""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Each part only for whom may see what is behind it."""
    orders, pipeline = _may(request, "orders.view_order"), _may(request, "notifications.view_failure")
    health = current_health()
    context["title"] = "Dashboard"
    context["tiles"] = [*(_of_orders() if orders else ()), *(_of_the_pipeline(health) if pipeline else ())]
    context["health"] = _sentence(health)
    if pipeline:
        failing = Failure.objects.failing().select_related("event")
        context["failures"] = list(failing.order_by("state", "-pk")[:MOST_SHOWN])
        context["may_decide"] = _may(request, "notifications.decide_failure")
    return context


def _may(request: HttpRequest, permission: str) -> bool:
    return request.user.has_perm(permission)


def _of_orders() -> Iterator[Tile]:
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    counts = _counts(today)
    attention = needing_attention(Order.objects.all()).count()
    orders = reverse("admin:orders_order_changelist")
    day = f"{orders}?placed_at__year={today.year}&placed_at__month={today.month}&placed_at__day={today.day}"
    yield Tile(
        title="Needs attention",
        value=str(attention),
        url=f"{orders}?show=attention",
        note="orders with a payment in doubt, a refund due or a dead side effect",
        tone="bad" if attention else "good",
    )
    yield Tile(title="Orders today", value=str(counts["today"]), url=day)
    yield Tile(title="Revenue today", value=money(counts["revenue"] or 0, settings.CURRENCY), url=day)
    yield Tile(
        title="Waiting for payment",
        value=str(counts["unpaid"]),
        url=f"{orders}?show=unpaid",
        tone="warn" if counts["unpaid"] else "",
    )
    yield Tile(title="To ship", value=str(counts["ship"]), url=f"{orders}?show=ship")


def _counts(today: datetime) -> dict[str, Any]:
    given_back = Q(status__in=[Order.Status.REFUNDED, Order.Status.REFUND_DUE])
    return Order.objects.aggregate(
        today=Count("pk", filter=Q(placed_at__gte=today)),
        revenue=Sum("total", filter=Q(paid_at__gte=today, currency=settings.CURRENCY) & ~given_back),
        unpaid=Count("pk", filter=Q(status=Order.Status.PLACED)),
        ship=Count("pk", filter=Q(status=Order.Status.PAID)),
    )


def _of_the_pipeline(health: Health) -> Iterator[Tile]:
    deliveries, workers = reverse("admin:notifications_delivery_changelist"), "admin:notifications_worker_changelist"
    late = bool(health.waiting) and not health.relay_alive
    yield Tile(
        title="Dead",
        value=str(health.dead),
        url=f"{reverse('admin:notifications_failure_changelist')}?show=dead",
        note="side effects that nobody will try again until you decide",
        tone="bad" if health.dead else "good",
    )
    yield Tile(
        title="Due deliveries",
        value=str(health.waiting),
        url=f"{deliveries}?show=open",
        note=f"the oldest for {health.oldest_waiting_seconds:.0f} s" if health.waiting else "nothing waits",
        tone="bad" if late else "",
    )
    yield Tile(
        title="Relay",
        value="alive" if health.relay_alive else "none",
        url=reverse(workers),
        tone="good" if health.relay_alive else "bad",
    )
    yield Tile(
        title="Workers alive",
        value=str(health.workers_alive),
        url=reverse(workers),
        note=f"{health.no_worker}, {health.waiting} waiting"
        if health.broker == "ok" and not health.workers_alive
        else "",
        tone="good" if health.workers_alive else "warn",
    )


def _sentence(health: Health) -> str:
    """Empty when there are warnings: the banner says them."""
    return "" if health.warnings else "Everything is running."
