"""One way of doing something after a commit, measured: `python -m config.bench.measure N COUNT` prints JSON.

Its environment names an empty database and a broker.
"""

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from types import ModuleType
from typing import Final

import django

from config.bench.runner import Runner, running
from config.bench.ways import RIVALS, WAYS, Way

A_SECOND: Final = 100  # requests, where it is asked how long a job waits
LONGEST_WAIT: Final = 180.0  # seconds until we call the work lost
QUIET: Final = 20.0  # seconds without any progress, after a kill: what has not come back by then counts as lost
WARM_UP: Final = 20


@dataclass(frozen=True)
class Seen:
    """request_ms: the median. drained: jobs a second. started: from the commit to the job's first line, in ms.

    After SIGKILL in the middle and a restart a second later: lost, doubled, and the seconds until the last job.
    """

    request_ms: float
    drained: float
    started_p50_ms: float
    started_p99_ms: float
    lost: int
    doubled: int
    recovered_seconds: float


def measure(way: Way, count: int) -> Seen:
    ways = import_module(way.path)
    getattr(ways, "prepare", lambda: None)()
    with running(way):
        _request(ways, range(WARM_UP))
        _wait_for(range(WARM_UP))
    backlog, steady, killed = (range(n * 1_000_000, n * 1_000_000 + count) for n in (1, 2, 3))
    request_ms = statistics.median(_request(ways, backlog)) * 1000
    with running(way):
        _wait_for(backlog)
        waits = _steadily(ways, steady)
    _request(ways, killed)
    with running(way) as [first, *_]:
        recovered = _kill_in_the_middle(first, killed)
    rows = [n for n, _ in _rows(killed)]
    return Seen(
        request_ms=request_ms,
        drained=_rate(backlog),
        started_p50_ms=statistics.median(waits),
        started_p99_ms=waits[int(count * 0.99) - 1],
        lost=count - len(set(rows)),
        doubled=len(rows) - len(set(rows)),
        recovered_seconds=recovered,
    )


def _request(way: ModuleType, numbers: range) -> list[float]:
    """Seconds that each took."""
    took = []
    for n in numbers:
        began = time.perf_counter()
        way.request(n)
        took.append(time.perf_counter() - began)
    return took


def _steadily(way: ModuleType, numbers: range) -> list[float]:
    """So many a second. Milliseconds from each commit to the start of its job, the shortest first."""
    committed, began = {}, time.time()
    for index, n in enumerate(numbers):
        time.sleep(max(0.0, began + index / A_SECOND - time.time()))
        way.request(n)
        committed[n] = time.time()
    _wait_for(numbers)
    return sorted((started - committed[n]) * 1000 for n, started in _rows(numbers))


def _kill_in_the_middle(runner: Runner, numbers: range) -> float:
    """Seconds from the restart to the last job that came."""
    while len(_rows(numbers)) < len(numbers) // 2:
        time.sleep(0.005)
    runner.kill()
    time.sleep(1)
    began = time.time()
    runner.start()
    done, since = 0, began
    while done < len(numbers) and time.time() < since + QUIET:
        time.sleep(0.1)
        if (now := len({n for n, _ in _rows(numbers)})) > done:
            done, since = now, time.time()
    return max(0.0, max(started for _, started in _rows(numbers)) - began)


def _rate(numbers: range) -> float:
    """Jobs a second between the first and the last, so that no start-up counts."""
    times = [started for _, started in _rows(numbers)]
    return (len(times) - 1) / (max(times) - min(times))


def _wait_for(numbers: range) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while len(_rows(numbers)) < len(numbers):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all of {len(numbers)} were done within {LONGEST_WAIT:.0f} s")
        time.sleep(0.1)


def _rows(numbers: range) -> list[tuple[int, float]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT n, started FROM bench_effect WHERE n >= %s AND n < %s", [numbers.start, numbers.stop])
        return list(cursor.fetchall())


def main() -> None:
    django.setup()
    from django.core.management import call_command

    from config.bench.ways.job import prepare

    way, count = (WAYS + RIVALS)[int(sys.argv[1])], int(sys.argv[2])
    call_command("migrate", verbosity=0)
    prepare()
    print(json.dumps(asdict(measure(way, count))))  # noqa: T201


if __name__ == "__main__":
    main()
