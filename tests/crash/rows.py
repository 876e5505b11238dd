"""The database of a stage as a whole: who lives in the shop, emptying it, and letting time pass in it."""

import functools
from datetime import timedelta

from django.apps import apps
from django.db import connection, transaction
from django.db.models import DateTimeField, DurationField, F
from django.db.models.sql.subqueries import UpdateQuery

from accounts import keys
from accounts.models import User

CUSTOMER, STAFF = "customer@example.com", "staff@example.com"
SCOPES = ("orders:read", "orders:write", "refunds:write")
# What a shop is furnished with stays; the rest goes when a stage is cleared.
FURNITURE = ("ShippingMethod", "ShippingPrice", "TaxRate")
# No row of these is ever changed or, on PostgreSQL, deleted: triggers see to it. Their times decide nothing.
APPEND_ONLY = ("StockMovement", "StatusChange", "AuditEntry", "AuditSeal", "AuditOrigin")

bearers: dict[str, str] = {}  # the API keys of the two, by their e-mail


def move_in() -> None:
    """A customer and a member of staff, with new API keys."""
    for email, staff in ((CUSTOMER, False), (STAFF, True)):
        user, _ = User.objects.get_or_create(email=email, defaults={"is_staff": staff, "is_superuser": staff})
        _, bearers[email] = keys.issue(user=user, name="crash", scopes=SCOPES)


def empty() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        tables = [model._meta.db_table for model in _models()]
        if connection.vendor == "postgresql":
            guarded = [model._meta.db_table for model in _models() if model.__name__ in APPEND_ONLY]
            _truncate(cursor, guarded)
        else:
            _let_go(cursor)
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")


def _truncate(cursor, tables) -> None:
    """Only who owns them can, and has to say so: to others, and to a slip of the owner, the audit log says no."""
    for table in tables:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    cursor.execute(f"TRUNCATE {', '.join(tables)}")
    for table in tables:
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def _let_go(cursor) -> None:
    """SQLite knows no TRUNCATE: on a stage, what refuses DELETE goes for good."""
    cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%BEFORE DELETE%'")
    for (name,) in cursor.fetchall():
        cursor.execute(f"DROP TRIGGER {name}")


def make_older(seconds: float) -> None:
    by = DurationField().get_db_prep_value(timedelta(seconds=seconds), connection)
    with transaction.atomic(), connection.cursor() as cursor:
        for sql, times in _ageing():
            cursor.execute(sql, [by] * times)


@functools.cache
def _ageing() -> list[tuple[str, int]]:
    """A statement for each table with times, and how many it has: spelled once, as it is asked for all the time."""
    found = []
    for model in _models():
        times = [f.name for f in model._meta.local_concrete_fields if isinstance(f, DateTimeField)]
        if times and model.__name__ not in APPEND_ONLY:
            query = model._base_manager.all().query.chain(UpdateQuery)
            query.add_update_values({name: F(name) - timedelta(seconds=1) for name in times})
            found.append((query.get_compiler(connection=connection).as_sql()[0], len(times)))
    return found


def _models():
    for app in ("orders", "notifications"):
        for model in apps.get_app_config(app).get_models():
            if not model._meta.proxy and model.__name__ not in FURNITURE:
                yield model
