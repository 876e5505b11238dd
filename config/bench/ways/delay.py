"""Celery as its documentation begins: defaults only, and `delay_on_commit` for what follows a transaction."""

import os

from celery import Celery
from django.db import transaction

from config.bench.ways.job import change_something, leave_a_row

app = Celery("plain", broker=os.environ["BROKER_URL"])


@app.task
def leave_row(n: int) -> None:
    leave_a_row(n)


def request(n: int) -> None:
    with transaction.atomic(durable=True):
        change_something()
        leave_row.delay_on_commit(n)


def run(role: str) -> None:
    app.worker_main([role, "--loglevel=error"])
