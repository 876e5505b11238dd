"""The audit log, which no statement changes and none takes a line out of."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


KEPT = ("notifications_auditentry", "notifications_auditseal")
UNCHANGED = ("notifications_auditorigin",)  # the erasure of a person takes lines out of this one


def keep(apps, schema_editor):
    for statement in _triggers(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)  # a % in it is PL/pgSQL's own


def let_go(apps, schema_editor):
    postgresql = schema_editor.connection.vendor == "postgresql"
    for table in (*KEPT, *UNCHANGED):
        for name in (f"{table}_unchanged", f"{table}_kept"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}{f' ON {table}' if postgresql else ''}")


def _triggers(vendor):
    if vendor == "postgresql":
        yield (
            "CREATE OR REPLACE FUNCTION notifications_append_only() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END$$"
        )
    for table in (*KEPT, *UNCHANGED):
        yield _trigger(vendor, table, f"{table}_unchanged", "UPDATE")
    for table in KEPT:
        yield _trigger(vendor, table, f"{table}_kept", "DELETE")


def _trigger(vendor, table, name, act):
    what = f"CREATE TRIGGER {name} BEFORE {act} ON {table}"
    if vendor == "postgresql":
        return f"{what} FOR EACH ROW EXECUTE FUNCTION notifications_append_only()"
    return f"{what} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0008_queue_at_once'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(unique=True)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('entries', models.JSONField(help_text='Ids, as a list of [first, last].')),
                ('up_to', models.PositiveBigIntegerField(help_text='The highest id that is sealed so far.')),
                ('digest', models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('action', models.CharField(max_length=60)),
                ('actor', models.CharField(help_text='Who did it: user:5, key:2, visitor, terminal.', max_length=100)),
                ('about', models.CharField(blank=True, help_text='To what or whom, as “order:17”.', max_length=100)),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
                ('correlation_id', models.CharField(max_length=64)),
                ('origin_digest', models.CharField(blank=True, help_text='SHA-256 of salt and address of its origin.', max_length=64)),
            ],
            options={
                'verbose_name': 'audit entry',
                'verbose_name_plural': 'audit log',
                'permissions': [('export_auditentry', 'Can export the audit log')],
                'indexes': [models.Index(fields=['about', 'id'], name='audit_about'), models.Index(fields=['actor', 'id'], name='audit_actor'), models.Index(fields=['action', 'id'], name='audit_action')],
            },
        ),
        migrations.CreateModel(
            name='AuditOrigin',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('salt', models.CharField(max_length=32)),
                ('address', models.CharField(max_length=45)),
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='origin', to='notifications.auditentry')),
            ],
        ),
        migrations.RunPython(keep, let_go),
    ]
