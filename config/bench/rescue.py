"""How long a delivery waits whose worker was killed: `python -m config.bench.rescue KILLS` prints JSON.

Two Celery workers and a relay. Whoever runs the delivery gets SIGKILL; what is measured ends with the first line of the
handler in the other one. Then a new worker takes the dead one's place.
"""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import django

from config.bench.runner import Runner, running
from config.bench.ways import HELD

WORKERS: Final = HELD.roles.count("worker")


def main() -> None:
    django.setup()
    from django.core.management import call_command

    from config.bench.ways import held, job

    kills = int(sys.argv[1])
    call_command("migrate", verbosity=0)
    job.prepare()
    held.prepare()
    with running(HELD) as runners:
        took = sorted(_kill_one(runners, n) for n in range(kills))
    seconds = {"p50_s": statistics.median(took), "p99_s": took[math.ceil(kills * 0.99) - 1], "longest_s": took[-1]}
    print(json.dumps({"kills": kills, **seconds}))  # noqa: T201


def _kill_one(runners: list[Runner], n: int) -> float:
    """Seconds from SIGKILL to the next try's first line."""
    from django.db import transaction

    from config.bench.ways.held import Held, mark_killed
    from notifications.pipeline.events import publish

    _first(lambda: _alive() == WORKERS)
    with transaction.atomic(durable=True):
        publish(Held(n=n))
    [victim] = _first(lambda: [runner for runner in runners if runner.pid in _at_work()])
    mark_killed(n)
    killed = time.time()
    victim.kill()
    [started] = _first(lambda: _started(n))
    victim.start()
    return started - killed


def _alive() -> int:
    from notifications.models import Worker

    return Worker.objects.alive().filter(kind=Worker.Kind.WORKER).count()


def _at_work() -> set[int]:
    """The processes that run a delivery."""
    from notifications.models import Delivery

    running = Delivery.objects.running().filter(handler__endswith=".hold")
    return set(running.values_list("worker__pid", flat=True))


def _started(n: int) -> list[float]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT started FROM bench_effect WHERE n = %s", [n])
        return [started for (started,) in cursor.fetchall()]


def _first(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`."""
    from config.bench.ways.held import LONGEST_WAIT

    deadline = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise TimeoutError(f"nothing came within {LONGEST_WAIT:.0f} s")


if __name__ == "__main__":
    main()
