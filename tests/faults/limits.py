"""`python -m tests.faults.limits NAME...`: what PostgreSQL says of these settings in a session of the shop's."""

import json
import os
import sys

import django


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection

    said = {}
    with connection.cursor() as cursor:
        for name in sys.argv[1:]:
            cursor.execute("SELECT current_setting(%s)", [name])
            [said[name]] = cursor.fetchone()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
