"""How each handler is doing now: what waits, what is being tried again, what is dead, and how fast it is."""

from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count, Q

from notifications.pipeline.events import subscriptions
from notifications.pipeline.latency import RECENT, Latency, Spread, latencies
from notifications.pipeline.models import Brake, Delivery


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """One handler at one moment. waiting: due, or for a later time or its turn. held: "", "paused" or "resting".

    per_minute, wait and run are of the last five minutes; the last two are None when it has done nothing in them.
    """

    handler: str
    waiting: int = 0
    running: int = 0
    retrying: int = 0
    dead: int = 0
    held: str = ""
    held_why: str = ""
    per_minute: float = 0.0
    wait: Spread | None = None
    run: Spread | None = None


def pulses(now: datetime) -> dict[str, Pulse]:
    """Of every handler that this process knows, by name. Three queries."""
    counts, busy = _counts(), {one.handler: one for one in latencies(now)}
    held = {brake.handler: brake for brake in Brake.objects.holding(now)}
    return {
        name: _held(_paced(counts.get(name, Pulse(handler=name)), busy.get(name)), held.get(name))
        for name in subscriptions
    }


def _counts() -> dict[str, Pulse]:
    begun, failed = Q(state="running"), ~Q(last_error="")
    rows = Delivery.objects.filter(state__in=["waiting", "ready", "running", "dead"]).values("handler").order_by()
    counted = rows.annotate(
        waiting=Count("pk", filter=Q(state="waiting") | Q(state="ready") & ~failed),
        running=Count("pk", filter=begun & ~failed),
        retrying=Count("pk", filter=(Q(state="ready") | begun) & failed),
        dead=Count("pk", filter=Q(state="dead")),
    )
    return {row["handler"]: Pulse(**row) for row in counted}


def _paced(pulse: Pulse, busy: Latency | None) -> Pulse:
    if busy is None:
        return pulse
    return replace(pulse, per_minute=busy.done / (RECENT.total_seconds() / 60), wait=busy.wait, run=busy.run)


def _held(pulse: Pulse, brake: Brake | None) -> Pulse:
    if brake is None:
        return pulse
    paused = brake.paused_at is not None
    return replace(pulse, held="paused" if paused else "resting", held_why=brake.reason if paused else brake.last_error)
