"""The measurements, inside a throw-away shop that `manage.py bench` has prepared: prints JSON."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from config.bench.effects import TABLE
    from config.bench.replay import checkout_against_its_sql

    count = int(sys.argv[1])
    call_command("migrate", verbosity=0)
    call_command("demo", stdout=sys.stderr)
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
    facts: dict[str, Any] = {
        "database": connection.vendor,
        "count": count,
        "checkout": checkout_against_its_sql(count=count),
        "gateway": {"charge_ms": _bank_time()},
        **_flow(count),
    }
    print(json.dumps(facts))  # noqa: T201


def _bank_time() -> float:
    """Milliseconds (median of 30) of creating and confirming a charge at the bank stand-in, ledger fsync included."""
    from orders.gateways import stripe
    from orders.gateways.base import Charge

    times = []
    for _ in range(30):
        charge = Charge(
            reference=str(uuid4()),
            amount=1000,
            currency="EUR",
            payment_method="pm_card_visa",
            order_number="WB-BENCH",
            email="bench@example.com",
        )
        began = time.perf_counter()
        stripe.charge(charge)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def _flow(count: int) -> dict[str, Any]:
    from config.bench.flow import drain, latency
    from notifications.models import Delivery

    # What the checkouts above have caused is not what is measured here.
    Delivery.objects.filter(state="ready").update(state="cancelled")
    quiet = max(count // 4, 50)
    with _process("relay"):
        alone = {
            "drain": drain("pipeline", count=count, first=0),
            "latency": latency("pipeline", count=quiet, first=1_000_000, pause=0.02),
        }
    with _process("relay", celery=True), _process("worker", celery=True):
        _until_the_worker_works()
        celery = {
            "drain": drain("pipeline", count=count, first=2_000_000),
            "latency": latency("pipeline", count=quiet, first=3_000_000, pause=0.02),
        }
        delay = {
            "drain": drain("delay", count=count, first=2_000_000),
            "latency": latency("delay", count=quiet, first=3_000_000, pause=0.02),
        }
    return {"relay_alone": alone, "celery": celery, "on_commit_delay": delay}


def _until_the_worker_works() -> None:
    from config.bench.flow import drain
    from notifications.pipeline.health import pipeline_health

    deadline = time.monotonic() + 60
    while pipeline_health().mode != "celery":
        if time.monotonic() > deadline:
            raise TimeoutError(f"no worker came up within 60 s: {pipeline_health()}")
        time.sleep(0.1)
    drain("delay", count=20, first=9_000_000)


@contextmanager
def _process(name: str, *, celery: bool = False) -> Iterator[None]:
    environment = os.environ if celery else {**os.environ, "BROKER_URL": ""}
    running = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "config.bench.process", name], env=environment, stdout=sys.stderr
    )
    try:
        yield
    finally:
        running.terminate()
        running.wait(10)


if __name__ == "__main__":
    main()
