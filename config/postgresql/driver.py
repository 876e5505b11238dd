"""psycopg as Django sees it, except that a server which has fallen silent is an error after a while.

The server's own time-outs are of no use when it, or the line to it, has stopped: left to itself the driver would wait
for as long as the operating system calls the connection alive.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

__all__ = [
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "connect",
]

# Longer than `statement_timeout`: a server that works and is slow gives up by itself, and says why.
SILENCE: Final = 18.0  # seconds
LOOK_EVERY: Final = 0.1  # seconds

Result = TypeVar("Result")


class Connection(psycopg.Connection[Any]):
    _silence = SILENCE

    @contextmanager
    def answering_within(self, seconds: float) -> Iterator[None]:
        """Inside, an answer is waited for only so long."""
        self._silence = seconds
        try:
            yield
        finally:
            self._silence = SILENCE

    def wait(self, gen: PQGen[Result], interval: float = LOOK_EVERY, timeout: float | None = None) -> Result:
        """Everything that is asked of the server is waited for here. Raises OperationalError when no answer came."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self._silence)
        except OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # its answer may still come, and would be taken for that of the next question
            raise


connect = Connection.connect
