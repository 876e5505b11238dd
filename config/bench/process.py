"""A relay or worker that also knows the benchmark's handler: `python -m config.bench.process relay`."""

import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command

    from config.bench import effects  # noqa: F401  registers its handler and its task

    call_command(sys.argv[1])


if __name__ == "__main__":
    main()
