"""What it costs to begin a delivery, and to publish an event, in a long history and behind a long line.

A claim is what the pipeline does to begin one delivery: find the longest waiting, make it RUNNING, commit. A
publication is a transaction with one event that has one handler. `python -m config.bench.claims ROWS` prints JSON.
"""

import json
import statistics
import sys
import time
from typing import Any, Final

import django

TIMES: Final = 1000  # claims each
WAITING: Final = 20_000  # deliveries behind one that has not come to its end
BATCH: Final = 50_000  # rows inserted at a time


def main() -> None:
    django.setup()
    from django.core.management import call_command

    rows = int(sys.argv[1])
    call_command("migrate", verbosity=0)
    _both()  # every statement has run once
    facts = {"rows": rows, "empty": _both()}
    _fill(WAITING, state="waiting", order_key="order:1")
    facts["behind_a_line"] = _both()
    _fill(rows, state="done")
    facts["in_a_history"] = _both()
    print(json.dumps(facts))  # noqa: T201


def _both() -> dict[str, dict[str, float]]:
    """Milliseconds of a claim and of a publication, half and 99 of 100."""
    from django.utils import timezone

    from notifications.models import Delivery, Worker

    worker = Worker.objects.create(kind=Worker.Kind.WORKER, host="bench", pid=1, lock_key=1)
    _fill(TIMES, state="ready")
    claimed = _percentiles([_claim(worker) for _ in range(TIMES)])
    published = _percentiles([_publish() for _ in range(TIMES)])
    left = Delivery.objects.filter(state__in=["ready", "running"])
    left.update(state="done", finished_at=timezone.now())
    return {"claim": claimed, "publish": published}


def _percentiles(took: list[float]) -> dict[str, float]:
    took.sort()
    return {"p50_ms": statistics.median(took) * 1000, "p99_ms": took[int(TIMES * 0.99) - 1] * 1000}


def _claim(worker: Any) -> float:
    from notifications.pipeline.delivery import take
    from notifications.pipeline.due import look_up

    began = time.perf_counter()
    [(pk, *_)] = look_up("TRUE", [], 1)
    take(pk, worker)
    return time.perf_counter() - began


def _publish() -> float:
    from django.db import transaction

    from config.bench.ways.pipeline import Measured
    from notifications.pipeline.events import publish

    began = time.perf_counter()
    with transaction.atomic(durable=True):
        publish(Measured(n=1))
    return time.perf_counter() - began


def _fill(count: int, **facts: Any) -> None:
    """So many events with one delivery each."""
    from django.db import connection
    from django.utils import timezone

    from notifications.models import Delivery, Event

    done = {"finished_at": timezone.now(), "started_at": timezone.now()} if facts["state"] == "done" else {}
    for start in range(0, count, BATCH):
        events = Event.objects.bulk_create(
            [Event(name="bench.filler", payload={}, actor="bench") for _ in range(start, min(start + BATCH, count))],
            batch_size=1000,
        )
        Delivery.objects.bulk_create(
            [Delivery(event=event, handler="bench.filler", **facts, **done) for event in events], batch_size=500
        )
    with connection.cursor() as cursor:  # as the server does by itself, some time later
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    main()
