"""How long deliveries wait and run, by handler: read from those that were done in the last few minutes."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Final

from notifications.pipeline.models import Delivery

RECENT: Final = timedelta(minutes=5)
MOST: Final = 10_000  # rows that are looked at, the latest: a busy shop is not slowed down by being watched


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median, and what 95 of 100 stay below, in seconds."""

    p50: float
    p95: float


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Of one handler. wait: from the moment a delivery is due until it starts. run: from there until it is done."""

    handler: str
    done: int
    wait: Spread
    run: Spread


def latencies(now: datetime) -> list[Latency]:
    """Of each handler that has done something in the last five minutes, by name. One query."""
    done = Delivery.objects.filter(state=Delivery.State.DONE, finished_at__gt=now - RECENT)
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in done.order_by("-finished_at").only("handler", "available_at", "started_at", "finished_at")[:MOST]:
        if row.started_at and row.finished_at:
            wait, run = row.started_at - row.available_at, row.finished_at - row.started_at
            found[row.handler].append((wait.total_seconds(), run.total_seconds()))
    return [
        Latency(handler=handler, done=len(each), wait=_spread(waits), run=_spread(runs))
        for handler, each in sorted(found.items())
        for waits, runs in [zip(*each, strict=True)]
    ]


def _spread(values: tuple[float, ...]) -> Spread:
    if len(values) == 1:
        return Spread(p50=values[0], p95=values[0])
    cuts = quantiles(values, n=20, method="inclusive")
    return Spread(p50=cuts[9], p95=cuts[18])
