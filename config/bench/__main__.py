"""Checkout, measured in a throw-away shop that `manage.py bench` has prepared: prints JSON."""

import json
import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from config.bench.replay import checkout_against_its_sql

    count = int(sys.argv[1])
    call_command("migrate", verbosity=0)
    call_command("demo", stdout=sys.stderr)
    facts = {"database": connection.vendor, "count": count, "checkout": checkout_against_its_sql(count=count)}
    print(json.dumps(facts))  # noqa: T201


if __name__ == "__main__":
    main()
