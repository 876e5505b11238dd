"""Ours, with a handler in which a worker waits for its death."""

import time
from typing import Final

from django.db import connection

from config.bench.ways.job import leave_a_row
from config.bench.ways.pipeline import run, wait_until_it_runs
from notifications.pipeline.events import DomainEvent, subscribe

LONGEST_WAIT: Final = 60.0  # seconds until we call the delivery lost

__all__ = ["LONGEST_WAIT", "Held", "hold", "mark_killed", "prepare", "run", "wait_until_it_runs"]


class Held(DomainEvent, name="bench.held"):
    """Fires when the benchmark wants a worker that it can kill at work."""

    n: int


@subscribe(Held, atomic=False)  # a transaction that sleeps would keep everybody else out of SQLite
def hold(event: Held) -> None:
    """The first worker stays in here until it is killed; the next finds that it was."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM bench_killed WHERE n = %s", [event.n])
        [killed] = cursor.fetchone()
    if not killed:
        time.sleep(LONGEST_WAIT)
    leave_a_row(event.n)


def prepare() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_killed (n int)")


def mark_killed(n: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_killed VALUES (%s)", [n])
