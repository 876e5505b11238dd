#!/usr/bin/env python3
"""The one door: `python3 manage.py up` on a machine with nothing but Python 3.11."""

import os
import sys

OLDEST_PYTHON = (3, 11)

# These decide the environment that the settings are read from, so they start before Django does.
BEFORE_SETTINGS = {"up", "test"}


def main() -> None:
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("Waybill needs Python 3.11 or newer; this is Python %d.%d." % sys.version_info[:2])  # noqa: UP031
    from config import bootstrap

    bootstrap.enter(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] and sys.argv[1] in BEFORE_SETTINGS:
        run_before_settings(sys.argv)
    else:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


def run_before_settings(argv: "list[str]") -> None:
    from importlib import import_module

    import_module(f"config.management.commands.{argv[1]}").Command().run_from_argv(argv)


if __name__ == "__main__":
    main()
