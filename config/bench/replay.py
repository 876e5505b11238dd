"""Checkout against its own SQL, replayed through the bare driver on a copy of the database.

Every statement, parameter and COMMIT of the checkouts is recorded while they run, and then sent again
by nothing but the driver. What is left between the two times is Python: Django, our code, validation.
"""

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from django.db import connection

from orders.checkout import Buyer, Item, place_order
from orders.gateways import stripe
from orders.gateways.base import Charge, Outcome, Status

ADDRESS = {"name": "B", "line1": "1", "line2": "", "postal_code": "1", "city": "B", "country": "DE"}


@dataclass
class Recording:
    """The checkouts' statements, one list each; None stands for COMMIT."""

    checkouts: list[list[tuple[str, Any] | None]] = field(default_factory=list)

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.checkouts[-1].append((sql, params))
        return execute(sql, params, many, context)

    @contextmanager
    def running(self) -> Iterator[None]:
        commit = connection.commit

        def recorded_commit() -> None:
            self.checkouts[-1].append(None)
            commit()

        with connection.execute_wrapper(self), mock.patch.object(connection, "commit", recorded_commit):
            yield


def paid_at_once(charge: Charge) -> Outcome:
    """A bank that takes no time: what is measured here is ours."""
    return Outcome(
        status=Status.SUCCEEDED, gateway_id=f"pi_{charge.reference}", amount=charge.amount, currency=charge.currency
    )


def checkout_against_its_sql(*, count: int) -> dict[str, float]:
    """Milliseconds (median) of a checkout of one line, of its SQL alone, their ratio, and its statements."""
    with mock.patch.object(stripe, "charge", paid_at_once):
        for _ in range(20):
            _check_out()
        with _copied_database() as replay_on:
            recording = Recording()
            with recording.running():
                ours = [_timed(recording) for _ in range(count)]
            bare = replay_on(recording)
    return {
        "checkout_ms": statistics.median(ours) * 1000,
        "bare_sql_ms": statistics.median(bare) * 1000,
        "ratio": statistics.median(ours) / statistics.median(bare),
        "statements": len([step for step in recording.checkouts[-1] if step]),
    }


def _check_out() -> None:
    place_order(
        items=[Item(sku="MUG-RED", quantity=1)],
        buyer=Buyer(email="bench@example.com", shipping_address=ADDRESS),
        payment_method="pm_card_visa",
    )


def _timed(recording: Recording) -> float:
    recording.checkouts.append([])
    began = time.perf_counter()
    _check_out()
    return time.perf_counter() - began


Replay = Callable[[Recording], list[float]]


@contextmanager
def _copied_database() -> Iterator[Replay]:
    with (_copied_postgres if connection.vendor == "postgresql" else _copied_sqlite)() as replay:
        yield replay


@contextmanager
def _copied_sqlite() -> Iterator[Replay]:
    copy = Path(connection.settings_dict["NAME"]).with_name("replay.sqlite3")
    bare = sqlite3.connect(copy, isolation_level=None)
    # Never by reading the file: closing it would drop this process's own locks on the database.
    connection.connection.backup(bare)
    bare.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
    try:
        yield lambda recording: _replay(recording, bare, lambda sql: sql.replace("%s", "?").replace("%%", "%"))
    finally:
        bare.close()
        copy.unlink()


@contextmanager
def _copied_postgres() -> Iterator[Replay]:
    name = connection.settings_dict["NAME"]
    parameters = {
        key: value
        for key, value in connection.get_connection_params().items()
        if key in ("host", "port", "user", "password")
    }
    connection.close()  # a database that is copied may have no visitors
    with psycopg.connect(**parameters, dbname="postgres", autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}_replay" TEMPLATE "{name}"')
        bare = psycopg.connect(**parameters, dbname=f"{name}_replay", autocommit=True)
        try:
            yield lambda recording: _replay(recording, bare, lambda sql: sql)
        finally:
            bare.close()
            server.execute(f'DROP DATABASE "{name}_replay" WITH (FORCE)')


def _replay(recording: Recording, bare: Any, spelled: Callable[[str], str]) -> list[float]:
    return [_replay_one(checkout, bare, spelled) for checkout in recording.checkouts]


def _replay_one(checkout: list[Any], bare: Any, spelled: Callable[[str], str]) -> float:
    cursor = bare.cursor()
    statements = [(spelled(step[0]), step[1] or ()) if step else ("COMMIT", ()) for step in _with_begin(checkout)]
    began = time.perf_counter()
    for sql, params in statements:
        cursor.execute(sql, params)
        if cursor.description:
            cursor.fetchall()
    return time.perf_counter() - began


def _with_begin(checkout: list[Any]) -> Iterator[Any]:
    """PostgreSQL's driver begins a transaction by itself when told to; the bare one here is told by BEGIN."""
    if connection.vendor != "postgresql":
        yield from checkout
        return
    # Ours opens two: the reads before the first write are outside of any.
    inside = False
    for index, step in enumerate(checkout):
        if step is not None and not inside and _opens_transaction(checkout, index):
            yield ("BEGIN", None)
            inside = True
        yield step
        if step is None:
            inside = False


def _opens_transaction(checkout: list[Any], index: int) -> bool:
    sql = checkout[index][0]
    return sql.startswith(("INSERT", "UPDATE")) or "FOR UPDATE" in sql
