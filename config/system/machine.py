"""What this shop runs on: versions, migrations that wait, and how full the disk is. Nothing here takes long."""

import platform
import shutil
import sqlite3
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import celery
import django
import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Sum

from config.env import BASE_DIR
from uploads.models import Rendition, Upload

PATIENCE = 1.0  # seconds for a broker that is asked who it is


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Bytes. data: our database, ledger, mailbox and so on; media: originals and what was made of them."""

    free: int
    total: int
    database: int
    media: int

    @property
    def used_percent(self) -> int:
        return round(100 * (self.total - self.free) / self.total)


def versions() -> Iterator[tuple[str, str]]:
    waybill = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
    yield "Waybill", waybill
    yield "Python", platform.python_version()
    yield "Django", django.get_version()
    yield "Celery", celery.__version__
    yield "Database", _database()
    yield "Broker", _broker()


def _database() -> str:
    if connection.vendor == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return f"PostgreSQL {cursor.fetchone()[0]}"


def _broker() -> str:
    if not settings.BROKER_URL:
        return "none"
    if not settings.BROKER_URL.startswith(("redis", "unix")):
        return settings.BROKER_URL.partition(":")[0]
    try:
        with redis.from_url(settings.BROKER_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as broker:
            told = broker.info("server")
    except redis.RedisError as error:
        return f"does not answer ({type(error).__name__})"
    return f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {told['redis_version']}"


def pending_migrations() -> list[str]:
    """Those that this code has and the database has not seen: `manage.py migrate` runs them."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def disk() -> Disk:
    """Of the data folder. What media take is counted by their rows, wherever they lie."""
    found = shutil.disk_usage(settings.WAYBILL_DATA)
    rows: tuple[Any, ...] = (Upload, Rendition)
    media = [kind.objects.aggregate(bytes=Sum("bytes"))["bytes"] or 0 for kind in rows]
    return Disk(free=found.free, total=found.total, database=_database_size(), media=sum(media))


def _database_size() -> int:
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        files = (Path(f"{name}{end}") for end in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])
