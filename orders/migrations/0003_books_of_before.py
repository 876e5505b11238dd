"""What orders paid before are owed, and histories that stay as they were written."""

from django.db import migrations

APPEND_ONLY = ("orders_stockmovement", "orders_statuschange")


def books_of_before(apps, schema_editor):
    """Orders paid before there were numbers get theirs in the order in which they were paid."""
    attempts = apps.get_model("orders", "PaymentAttempt").objects.filter(state="succeeded").select_related("order")
    counters, invoices = apps.get_model("orders", "Counter"), apps.get_model("orders", "Invoice")
    last = {"order": 0}
    for attempt in attempts.order_by("order__paid_at", "order_id"):
        order, series = attempt.order, str(attempt.order.paid_at.year)
        attempt.captured, attempt.captured_currency = attempt.amount, attempt.currency
        attempt.save(update_fields=["captured", "captured_currency"])
        last["order"] += 1
        last[series] = last.get(series, 0) + 1
        apps.get_model("orders", "Order").objects.filter(pk=order.pk).update(serial=last["order"])
        invoices.objects.create(
            series=series,
            serial=last[series],
            kind="invoice",
            order=order,
            amount=order.total,
            currency=order.currency,
            issued_at=order.paid_at,
        )
    for name, value in last.items():
        counters.objects.create(name=name, value=value)


def keep_histories(apps, schema_editor):
    """No statement changes a line of a history; on PostgreSQL none takes one out either.

    SQLite has no TRUNCATE: there, taking lines out is how test databases are emptied.
    """
    for table in APPEND_ONLY:
        for statement in _triggers(table, schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)  # a % in it is PL/pgSQL's own


def let_go(apps, schema_editor):
    for table in APPEND_ONLY:
        on_table = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only{on_table}")


def _triggers(table, vendor):
    if vendor != "postgresql":
        yield (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        return
    yield (
        "CREATE OR REPLACE FUNCTION orders_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END$$"
    )
    yield (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION orders_append_only()"
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_money_and_stock")]

    operations = [
        migrations.RunPython(books_of_before, migrations.RunPython.noop),
        migrations.RunPython(keep_histories, let_go),
    ]
