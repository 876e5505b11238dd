"""What the tests of every part share: a database of their own, the real bank, and the pipeline by hand."""

import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings as site
from django.core.management.commands import flush
from django.db import connection, connections, transaction

from orders.gateways.bank.faults import PATHS

pytest_plugins = ["notifications.testing"]
CHECKOUT = Path(__file__).resolve().parent.parent

# Files are looked up when they are asked for. Otherwise each test client begins by listing them all.
site.WHITENOISE_AUTOREFRESH = True


LONGEST = (
    "test_on_postgresql.py",
    "test_worlds.py",
    "test_boundary_sweep.py",
    "test_kills.py",
    "test_mutants.py",
    "test_soak.py",
    "test_machine.py",
    "test_last_unit.py",
)


def pytest_collection_modifyitems(items):
    """The longest files first: who runs tests in several processes does not wait for one of them at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@dataclass(frozen=True)
class Bank:
    """A running bank. Its ledger is the independent witness of what was charged."""

    url: str
    file: Path

    def ledger(self, **wanted):
        """What the bank wrote down, one entry a movement of money: those that say all of `wanted`."""
        entries = [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
        return [entry for entry in entries if wanted.items() <= entry.items()]

    def play(self, act, /, **asked):
        """What only a stand-in can do: fail on request, or act as a person at the gateway would."""
        request = urllib.request.Request(f"{self.url}/test/{act}", json.dumps(asked).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory):
    """Each test run has a SQLite file of its own, so that several may run at once on one machine."""
    database = connections["default"].settings_dict
    if connections["default"].vendor == "sqlite":
        database["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """After each emptying, what `migrate` furnished is written as it was: to find it out anew takes the most time."""
    with django_db_blocker.unblock():
        tables = [list(model._base_manager.all()) for model in apps.get_models(include_auto_created=True)]

    def put_back(verbosity, interactive, db, **_):
        with transaction.atomic(using=db):
            for rows in filter(None, tables):
                type(rows[0])._base_manager.using(db).bulk_create(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "emit_post_migrate_signal", put_back)
        if connection.vendor == "sqlite":
            patch.setattr(connection.ops, "sql_flush", _without_triggers(connection.ops.sql_flush, django_db_blocker))
        if connection.vendor == "postgresql":
            emptied = _deletes if _is_superuser(django_db_blocker) else _let_truncate(connection.ops.sql_flush)
            patch.setattr(connection.ops, "sql_flush", emptied)
        yield


def _without_triggers(emptied, django_db_blocker):
    """SQLite empties tables with DELETE, which some tables refuse: while it does, they do not."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%BEFORE DELETE%'")
        kept = cursor.fetchall()

    def sql_flush(style, tables, **options):
        statements = emptied(style, tables, **options)
        return [f"DROP TRIGGER {name}" for name, _ in kept] + statements + [sql for _, sql in kept]

    return sql_flush


def _is_superuser(django_db_blocker):
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SHOW is_superuser")
        return cursor.fetchone() == ("on",)


def _deletes(style, tables, **_):
    """A few rows are deleted many times as fast as sixty tables are truncated. No trigger has a say in it."""
    return [
        "SET LOCAL session_replication_role = replica;"
        + "".join(f"DELETE FROM {connection.ops.quote_name(table)};" for table in tables)
    ]


def _let_truncate(emptied):
    """Who only owns the tables may truncate them where their triggers are told to look away meanwhile."""

    def sql_flush(style, tables, **options):
        guarded = [table for table in tables if table.startswith("notifications_audit")]
        told = {act: [f"ALTER TABLE {table} {act} TRIGGER USER" for table in guarded] for act in ("DISABLE", "ENABLE")}
        return told["DISABLE"] + emptied(style, tables, **options) + told["ENABLE"]

    return sql_flush


@pytest.fixture(scope="session")
def bank_process(tmp_path_factory):
    ledger = tmp_path_factory.mktemp("bank") / "bank.jsonl"
    command = [sys.executable, "-m", "orders.gateways.bank", "--port", "0", "--ledger", str(ledger)]
    command += ["--playground"]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    try:
        yield Bank(process.stdout.readline().split()[1], ledger)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def bank(bank_process, settings):
    """The real bank, and a shop that charges cards there and reads its ledger."""
    settings.STRIPE_API_BASE = bank_process.url
    yield bank_process
    for path in PATHS:
        bank_process.play("faults", path=path, mode="none")


@pytest.fixture(autouse=True)
def nobody_else_is_charged():
    """A test that forgets the bank finds nobody at home, never a payment service."""
    assert site.STRIPE_SECRET_KEY.startswith("sk_test_")
