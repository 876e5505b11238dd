import secrets

from django.db import migrations


def hand_over(apps, schema_editor):
    """Who ticked the box at sign-up was never asked by letter: they are on the new list as asked, and get no letter."""
    Subscriber = apps.get_model("notifications", "Subscriber")
    for entry in apps.get_model("accounts", "MailingListEntry").objects.filter(wants_newsletter=True):
        email = entry.user.email.lower()
        if not Subscriber.objects.filter(email=email).exists():
            Subscriber.objects.create(
                email=email, name=entry.user.name, asked_at=entry.recorded_at, token=secrets.token_urlsafe(24)
            )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("notifications", "0005_campaigns")]

    operations = [
        migrations.RunPython(hand_over, migrations.RunPython.noop),
        migrations.DeleteModel(name="MailingListEntry"),
    ]
