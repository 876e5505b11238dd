"""Handlers whose effects can be counted: nothing in their tables forbids a second row."""

import os
import random
import time
from datetime import timedelta

from django.db import connection

from notifications.models import Worker
from notifications.pipeline.events import DomainEvent, subscribe
from notifications.pipeline.retries import Retry

TABLES = (
    "CREATE TABLE soak_effect (n int)",
    "CREATE TABLE soak_turn (line int, n int, began double precision, ended double precision)",
)
AT_ONCE = Retry(attempts=30, first=timedelta(seconds=0.2), longest=timedelta(seconds=0.4))
FAILS = 0.2


class SoakHappened(DomainEvent, name="soak.happened"):
    """The n-th of many."""

    n: int


class SoakTurn(DomainEvent, name="soak.turn"):
    """The n-th of one line."""

    line: int
    n: int


class SoakPoison(DomainEvent, name="soak.poison"):
    """Whoever handles it dies."""


@subscribe(SoakHappened)
def leave_effect(event: SoakHappened) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO soak_effect VALUES (%s)", [event.n])


@subscribe(SoakTurn, ordered=True, retry=AT_ONCE)
def take_turn(event: SoakTurn) -> None:
    began = time.time()
    if random.random() < FAILS:
        raise ConnectionError(f"one time in five, this time {random.getrandbits(32):x}")
    time.sleep(0.001)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO soak_turn VALUES (%s, %s, %s, %s)", [event.line, event.n, began, time.time()])


@subscribe(SoakPoison)
def kill_worker(event: SoakPoison) -> None:
    assert Worker.objects.filter(pid=os.getpid()).exists()
    os._exit(9)
