"""Checkout against its own SQL, replayed through the bare driver on a copy of the database.

Every statement, parameter and COMMIT of the checkouts is recorded while they run, and then sent again by nothing but
the driver, on a connection with the same settings. What is left between the two times is Python: Django, our code,
validation. The bank's two calls are timed beside it, by the SDK and by bare HTTP.
"""

import json
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import psycopg
from django.conf import settings
from django.db import connection

from orders.checkout import Buyer, Item, place_order
from orders.gateways import stripe
from orders.gateways.base import Charge, Outcome

WARM_UP = 20  # checkouts that are not counted
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


def checkout_against_its_sql(*, count: int) -> dict[str, float]:
    """Milliseconds (medians) of a checkout of one line and of its bare SQL, in turns, and the bank's part of each."""
    ours: list[float] = []
    bare: list[float] = []
    asking: list[float] = []
    bare_asking: list[float] = []
    recording, bank = Recording(), _BareBank()
    with _timed_bank(asking), _copied_database() as replay_on:
        for n in range(count + WARM_UP):
            with recording.running():
                total = _timed(recording)
            ours.append(total - asking[n])
            bare.append(replay_on(recording.checkouts[-1]))
            bare_asking.append(bank.charge())
    figures = {"checkout_ms": ours, "bare_sql_ms": bare, "bank_ms": asking, "bare_bank_ms": bare_asking}
    medians = {name: statistics.median(values[WARM_UP:]) * 1000 for name, values in figures.items()}
    with_bank = (medians["checkout_ms"] + medians["bank_ms"]) / (medians["bare_sql_ms"] + medians["bare_bank_ms"])
    return medians | {
        "ratio": medians["checkout_ms"] / medians["bare_sql_ms"],
        "ratio_with_bank": with_bank,
        "statements": len([step for step in recording.checkouts[-1] if step]),
    }


@contextmanager
def _timed_bank(took: list[float]) -> Iterator[None]:
    """Inside, every charge's seconds are added to `took`."""
    charge = stripe.charge

    def timed(request: Charge) -> Outcome:
        began = time.perf_counter()
        outcome = charge(request)
        took.append(time.perf_counter() - began)
        return outcome

    with mock.patch.object(stripe, "charge", timed):
        yield


class _BareBank:
    """The same two requests without the SDK."""

    def __init__(self) -> None:
        self._connection = HTTPConnection(urlsplit(settings.STRIPE_API_BASE).netloc, timeout=10)

    def charge(self) -> float:
        """Seconds to open and confirm a payment."""
        began, key = time.perf_counter(), str(uuid4())
        opened = self._post("/v1/payment_intents", f"{key}-create", amount=1780, currency="eur")
        self._post(f"/v1/payment_intents/{opened['id']}/confirm", key, payment_method="pm_card_visa")
        return time.perf_counter() - began

    def _post(self, path: str, key: str, **form: object) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Idempotency-Key": key,
        }
        self._connection.request("POST", path, urlencode(form), headers)
        said: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return said


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


Replay = Callable[[list[Any]], float]


@contextmanager
def _copied_database() -> Iterator[Replay]:
    with (_copied_postgres if connection.vendor == "postgresql" else _copied_sqlite)() as replay:
        yield replay


@contextmanager
def _copied_sqlite() -> Iterator[Replay]:
    copy = Path(connection.settings_dict["NAME"]).with_name("replay.sqlite3")
    bare = sqlite3.connect(copy, isolation_level=None)
    connection.ensure_connection()
    # Never by reading the file: closing it would drop this process's own locks on the database.
    connection.connection.backup(bare)
    bare.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
    try:
        yield lambda checkout: _replay(checkout, bare, lambda sql: sql.replace("%s", "?").replace("%%", "%"))
    finally:
        bare.close()
        copy.unlink()


@contextmanager
def _copied_postgres() -> Iterator[Replay]:
    name, parameters = connection.settings_dict["NAME"], connection.get_connection_params()
    connection.close()  # a database that is copied may have no visitors
    with psycopg.connect(**parameters | {"dbname": "postgres"}, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}_replay" TEMPLATE "{name}"')
        bare = psycopg.connect(**parameters | {"dbname": f"{name}_replay"}, autocommit=True)
        try:
            yield lambda checkout: _replay(checkout, bare, lambda sql: sql)
        finally:
            bare.close()
            server.execute(f'DROP DATABASE "{name}_replay" WITH (FORCE)')


def _replay(checkout: list[Any], bare: Any, spelled: Callable[[str], str]) -> float:
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
