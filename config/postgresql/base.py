"""Django's PostgreSQL backend on a driver that does not wait for ever (see `driver`)."""

from typing import Final

from django.db.backends.postgresql import base

from config.postgresql import driver

# The first question on a kept connection, before a request is served with it: is anybody there?
GREETING: Final = 3.0  # seconds


class DatabaseWrapper(base.DatabaseWrapper):
    Database = driver

    def is_usable(self) -> bool:
        if self.connection is None:
            return False
        with self.connection.answering_within(GREETING):
            return bool(super().is_usable())
