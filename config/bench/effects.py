"""The same small job twice: as a durable handler, and as a plain Celery task behind `on_commit`.

One SELECT and one INSERT; the row it leaves is the proof that it ran, and when. Imported only by
the benchmark and by the processes it starts.
"""

import time
from functools import partial

from celery import shared_task
from django.db import connection, transaction

from notifications.models import Event
from notifications.pipeline.events import DomainEvent, publish, subscribe
from orders.models import Stock

TABLE = "CREATE TABLE IF NOT EXISTS bench_effect (way varchar(10), n int, started double precision, UNIQUE (way, n))"


class Measured(DomainEvent, name="bench.measured"):
    """Fires when the benchmark publishes its n-th event."""

    n: int


@subscribe(Measured)
def leave_a_row(event: Measured) -> None:
    _leave_a_row("pipeline", event.n)


@shared_task(name="bench.leave_a_row", ignore_result=True)
def leave_a_row_task(n: int) -> None:
    with transaction.atomic():
        _leave_a_row("delay", n)


def _leave_a_row(way: str, n: int) -> None:
    started = time.time()
    Event.objects.order_by("id").values_list("id").first()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_effect VALUES (%s, %s, %s)", [way, n, started])


def by_pipeline(n: int) -> None:
    with transaction.atomic(durable=True):
        _change_something()
        publish(Measured(n=n))


def by_delay(n: int) -> None:
    with transaction.atomic(durable=True):
        _change_something()
        transaction.on_commit(partial(leave_a_row_task.delay, n))


def _change_something() -> None:
    Stock.objects.filter(product__sku="MUG-RED").update(on_hand=1_000_000)
