"""publish + deliver against `on_commit(task.delay)`: what the request pays, how fast the work drains,
and how long after the commit a handler starts."""

import statistics
import time
from collections.abc import Callable

from django.db import connection

from config.bench.effects import by_delay, by_pipeline

LONGEST_WAIT = 120.0  # seconds until we call the work lost


def drain(way: str, *, count: int, first: int) -> dict[str, float]:
    """Publish `count` as fast as can be. Seconds each for the request (median) and per event until all are done."""
    act = _way(way)
    costs = []
    began = time.perf_counter()
    for n in range(first, first + count):
        start = time.perf_counter()
        act(n)
        costs.append(time.perf_counter() - start)
    _wait_for(way, first, count)
    return {"request_ms": statistics.median(costs) * 1000, "per_second": count / (time.perf_counter() - began)}


def latency(way: str, *, count: int, first: int, pause: float) -> dict[str, float]:
    """Milliseconds from the commit to the handler's start, one event every `pause` seconds."""
    act = _way(way)
    committed = {}
    for n in range(first, first + count):
        act(n)
        committed[n] = time.time()
        time.sleep(pause)
    _wait_for(way, first, count)
    waits = sorted((started - committed[n]) * 1000 for n, started in _started(way, first, count))
    return {"p50_ms": statistics.median(waits), "p99_ms": waits[int(len(waits) * 0.99) - 1]}


def _way(way: str) -> Callable[[int], None]:
    return by_pipeline if way == "pipeline" else by_delay


def _wait_for(way: str, first: int, count: int) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while len(_started(way, first, count)) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{way}: not all of {count} were done within {LONGEST_WAIT:.0f} s")
        time.sleep(0.02)


def _started(way: str, first: int, count: int) -> list[tuple[int, float]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n, started FROM bench_effect WHERE way = %s AND n >= %s AND n < %s", [way, first, first + count]
        )
        return list(cursor.fetchall())
