"""`manage.py preflight`: would this release's migrations go through, and would the books balance after them?"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from config.env import BASE_DIR
from notifications.pipeline.events import declared, subscription_of
from notifications.pipeline.models import Delivery
from orders.books import invariants

# A copy of a database in use is a matter of the server's own tools, and of whoever may use them.
HOW: Final = """This shop is on PostgreSQL: make a copy with its own tools, and look at that one.
  createdb waybill_copy && pg_dump waybill | psql --quiet waybill_copy
  DATABASE_URL=postgres://…/waybill_copy manage.py preflight --this-is-a-copy
  dropdb waybill_copy"""


class NotReady(Exception):
    """What this release and this database do not agree on, in words."""


class Command(BaseCommand):
    help = "Migrate a copy of the database and check the books on it. The real one is not touched. Exit 1 on trouble."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--this-is-a-copy", action="store_true", help="migrate and check the database in DATABASE_URL itself"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["this_is_a_copy"]:
            self._look()
        elif connection.vendor == "sqlite":
            self._look_at_a_copy(Path(connection.settings_dict["NAME"]))
        else:
            raise CommandError(HOW)

    def _look_at_a_copy(self, real: Path) -> None:
        if not real.exists():
            raise CommandError(f"There is no database at {real} yet: nothing can go wrong.")
        with _copied(real) as copy:
            self._say(f"Copied {real} ({copy.stat().st_size / 1_000_000:.1f} MB).")
            argv = [sys.executable, str(BASE_DIR / "manage.py"), "preflight", "--this-is-a-copy"]
            there = {"DATABASE_URL": f"sqlite:///{quote(str(copy))}", "DATABASE_URL_FILE": ""}
            ran = subprocess.run(argv, env={**os.environ, **there}, check=False)  # noqa: S603
        if ran.returncode:
            raise CommandError("This release is not for this database as it is. The real one was not touched.")
        self._say("This release is ready for this database. The real one was not touched.")

    def _look(self) -> None:
        try:
            for step in (_migrated, _understood, _balanced):
                self._say(step())
        except (NotReady, Error) as trouble:
            raise CommandError(f"✗ {trouble}") from trouble

    def _say(self, sentence: str) -> None:
        self.stdout.write(f"✓ {sentence}")
        self.stdout.flush()  # what the process for the copy says comes in its place


@contextmanager
def _copied(real: Path) -> Iterator[Path]:
    """As it is at one moment, also while the shop is open; gone afterwards. It lies on the same disk."""
    folder = Path(tempfile.mkdtemp(prefix="preflight-", dir=settings.WAYBILL_DATA))
    try:
        copy = folder / real.name
        with closing(sqlite3.connect(f"file:{quote(str(real))}?mode=ro", uri=True)) as source:
            source.execute("VACUUM INTO ?", (str(copy),))
        yield copy
    finally:
        shutil.rmtree(folder)


def _migrated() -> str:
    executor = MigrationExecutor(connection)
    todo = executor.migration_plan(executor.loader.graph.leaf_nodes())
    call_command("migrate", interactive=False, verbosity=0)
    return f"Migrated: {len(todo)} migrations."


def _understood() -> str:
    """What waits from the release before must mean something to this one, or it would wait for ever."""
    waiting = Delivery.objects.filter(state__in=["waiting", "ready", "running"])
    kinds = set(waiting.values_list("handler", "event__name", "event__version"))
    strange = sorted(
        f"{handler} of {name} version {version}"
        for handler, name, version in kinds
        if subscription_of(handler) is None or name not in declared or version > declared[name].version
    )
    if strange:
        raise NotReady(f"Waiting deliveries that this release does not know: {', '.join(strange)}.")
    return f"Understood: {waiting.count()} waiting deliveries."


def _nobody_is_late() -> None:
    """Nobody runs the deliveries of a copy, nor those of a shop that is closed for the change: that is no fault."""
    now = timezone.now()
    Delivery.objects.due(now).update(available_at=now)
    Delivery.objects.running().update(lease_until=now)


def _balanced() -> str:
    _nobody_is_late()
    checked = invariants()
    if wrong := [f"{check.id} {check.title}: {'; '.join(check.examples)}" for check in checked if check.violations]:
        raise NotReady(f"The books do not balance. {' | '.join(wrong)}")
    return f"The books balance: {len(checked)} invariants."
