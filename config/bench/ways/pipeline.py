"""Ours: an event that is published in the transaction, and a durable handler."""

import time

from django.core.management import call_command
from django.db import transaction

from config.bench.ways.job import change_something, leave_a_row
from notifications.models import Worker
from notifications.pipeline.events import DomainEvent, publish, subscribe

OPENING = 60.0  # seconds


class Measured(DomainEvent, name="bench.measured"):
    """Fires when the benchmark publishes its n-th event."""

    n: int


@subscribe(Measured)
def leave_row(event: Measured) -> None:
    leave_a_row(event.n)


def request(n: int) -> None:
    with transaction.atomic(durable=True):
        change_something()
        publish(Measured(n=n))


def run(role: str) -> None:
    call_command(role)


def wait_until_it_runs(role: str) -> None:
    """A relay that finds no worker does the work itself: what is measured begins when the worker is there."""
    deadline = time.monotonic() + OPENING
    while not Worker.objects.alive().filter(kind=role).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {role} within {OPENING:.0f} s")
        time.sleep(0.05)
