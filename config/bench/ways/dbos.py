"""DBOS: the request enqueues a workflow of one step after its commit; a process of its own carries it out."""

import threading
from functools import cache, partial

from dbos import DBOS, DBOSClient, DBOSConfig
from django.conf import settings
from django.db import connection, transaction

from config.bench.ways.job import change_something, leave_a_row

QUEUE = "bench"
NAME = "bench"


@DBOS.step()
def leave_row(n: int) -> None:
    leave_a_row(n)
    connection.close()  # back to the pool


@DBOS.workflow()
def job(n: int) -> None:
    leave_row(n)


def request(n: int) -> None:
    with transaction.atomic(durable=True):
        change_something()
        transaction.on_commit(partial(_enqueue, n))


def prepare() -> None:
    """Launched once, so that its tables are there; its client makes none."""
    _launch()
    DBOS.destroy()


def run(role: str) -> None:  # noqa: ARG001  there is one role
    _launch()
    threading.Event().wait()


def _launch() -> None:
    DBOS(config=DBOSConfig(name=NAME, system_database_url=settings.DATABASE_URL, console_log_level="ERROR"))
    DBOS.launch()
    DBOS.register_queue(QUEUE)


@cache
def _client() -> DBOSClient:
    return DBOSClient(system_database_url=settings.DATABASE_URL, application_name=NAME)


def _enqueue(n: int) -> None:
    _client().enqueue({"queue_name": QUEUE, "workflow_name": job.__qualname__}, n)
