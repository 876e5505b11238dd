#!/usr/bin/env python3
"""The one door: `python3 manage.py up` on a machine with nothing but Python 3.11."""

import gc
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
    try:
        run(sys.argv)
    finally:
        gc.freeze()  # else the end of a process walks through all of Django once more: up to a second


def run(argv: "list[str]") -> None:
    if argv[1:2] and argv[1] in BEFORE_SETTINGS:
        from importlib import import_module

        import_module(f"config.management.commands.{argv[1]}").Command().run_from_argv(argv)
    else:
        from django.core.management import execute_from_command_line

        from config.refusal import settings_or_exit

        settings_or_exit()
        execute_from_command_line(argv)


if __name__ == "__main__":
    main()
