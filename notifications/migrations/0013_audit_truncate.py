"""Emptying the audit log as a whole is refused too, on PostgreSQL. SQLite has no TRUNCATE."""

from django.db import migrations

KEPT = ("notifications_auditentry", "notifications_auditseal")


def keep(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for table in KEPT:
        schema_editor.execute(
            f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION notifications_append_only()"
        )


def let_go(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for table in KEPT:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_whole ON {table}")


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0012_priority'),
    ]

    operations = [
        migrations.RunPython(keep, let_go),
    ]
