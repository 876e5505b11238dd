"""A shop that lacks a setting does not start, and says so in one sentence instead of a traceback."""

import os
import sys
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

# What a worker of gunicorn must end with to stop the whole server; after any other it would be started again, for ever.
GUNICORN_GIVES_UP: Final = 3


def settings_or_exit(status: int = 1) -> None:
    """Read the settings now. Where they cannot be read, one line on stderr tells why and the process exits."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        assert settings.INSTALLED_APPS
    except (ImproperlyConfigured, OSError) as why:  # OSError: a file named by NAME_FILE, or the data folder
        print(f"Waybill does not start: {why}", file=sys.stderr)  # noqa: T201
        sys.exit(status)
