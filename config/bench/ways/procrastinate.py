"""procrastinate with its Django integration: jobs are rows, deferred in the request's transaction."""

from django.core.management import call_command
from django.db import transaction
from procrastinate.contrib.django import app

from config.bench.ways.job import change_something, leave_a_row


@app.task
def leave_row(n: int) -> None:
    leave_a_row(n)


def request(n: int) -> None:
    with transaction.atomic(durable=True):
        change_something()
        leave_row.defer(n=n)


def run(role: str) -> None:
    call_command("procrastinate", role)
