"""An answer is kept as the text that was sent. Its check goes and comes, because it was written for a document."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0005_a_key_may_have_made_many"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="idempotencykey", name="idempotency_answer_is_whole"),
        migrations.AlterField(
            model_name="idempotencykey",
            name="body",
            field=models.TextField(
                help_text="JSON, as it was written: PostgreSQL would sort a document's names.", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="idempotencykey",
            constraint=models.CheckConstraint(
                condition=models.Q(status_code=None, body=None)
                | models.Q(status_code__isnull=False, body__isnull=False),
                name="idempotency_answer_is_whole",
            ),
        ),
    ]
