"""The measurements, inside a throw-away shop that `manage.py bench` has prepared: prints JSON."""

import json
import os
import sys
import time
from typing import Any

import django

from config.bench.process import running


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
        **_flow(count),
    }
    print(json.dumps(facts))  # noqa: T201


def _flow(count: int) -> dict[str, Any]:
    from config.bench.flow import drain, latency
    from notifications.models import Delivery

    # What the checkouts above have caused is not what is measured here.
    Delivery.objects.filter(state="ready").update(state="cancelled")
    quiet = max(count // 4, 50)
    with running("relay", broker=False):
        alone = {
            "drain": drain("pipeline", count=count, first=0),
            "latency": latency("pipeline", count=quiet, first=1_000_000, pause=0.02),
        }
    with running("relay"), running("worker"):
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


if __name__ == "__main__":
    main()
