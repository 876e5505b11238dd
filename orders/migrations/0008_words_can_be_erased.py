"""Histories stay as they were written, but for one thing: words that somebody typed can be taken out, for good."""

from django.db import migrations

WORDS = {"StatusChange": "reason", "StockMovement": "note"}


def let_words_go(apps, schema_editor):
    for name, word in WORDS.items():
        model = apps.get_model("orders", name)
        _drop(model._meta.db_table, schema_editor)
        for statement in _triggers(model, word, schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)


def keep_words(apps, schema_editor):
    for name in WORDS:
        table = apps.get_model("orders", name)._meta.db_table
        _drop(table, schema_editor)
        for statement in _as_before(table, schema_editor.connection.vendor):
            schema_editor.execute(statement, params=None)


def _drop(table, schema_editor):
    on_table = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
    for name in (f"{table}_append_only", f"{table}_stays"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")


def _triggers(model, word, vendor):
    table = model._meta.db_table
    same = "IS NOT DISTINCT FROM" if vendor == "postgresql" else "IS"
    others = (field.column for field in model._meta.concrete_fields if field.column != word)
    only_words = " AND ".join([f"NEW.{word} = ''", *(f"NEW.{column} {same} OLD.{column}" for column in others)])
    if vendor != "postgresql":
        yield (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} WHEN NOT ({only_words})"
            f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        return
    refuse = "FOR EACH ROW {}EXECUTE FUNCTION orders_append_only()"
    yield f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} " + refuse.format(f"WHEN (NOT ({only_words})) ")
    yield f"CREATE TRIGGER {table}_stays BEFORE DELETE ON {table} " + refuse.format("")


def _as_before(table, vendor):
    if vendor == "postgresql":
        yield (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION orders_append_only()"
        )
        return
    yield (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


class Migration(migrations.Migration):
    dependencies = [("orders", "0007_a_key_can_be_spent")]

    operations = [migrations.RunPython(let_words_go, keep_words)]
