"""Django's SQLite backend, plus one rule: the threads of a process take turns to write.

SQLite's own busy loop is unfair and sleeps longer each time, up to a tenth of a second: among eight writers one was
measured waiting 1.4 to 8 s. A lock in the process lets only one thread of it wait for other processes at a time, and
that one looks again every half millisecond.
"""

import threading
import time
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

LOOK_EVERY = 0.0005  # seconds

_turns: dict[str, threading.Lock] = {}


class DatabaseWrapper(base.DatabaseWrapper):
    _holds_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        self._take_turn()
        try:
            self._begin()
        except BaseException:
            self._end_turn()
            raise

    def _begin(self) -> None:
        deadline = time.monotonic() + self._patience
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            while not self._began(late=time.monotonic() > deadline):
                time.sleep(LOOK_EVERY)
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {int(self._patience * 1000)}")

    def _began(self, *, late: bool) -> bool:
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except OperationalError as error:
            if late or "locked" not in str(error):
                raise
            return False
        return True

    def _commit(self) -> Any:
        result = super()._commit()  # type: ignore[misc]
        self._end_turn()
        return result

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _close(self) -> Any:
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self._end_turn()

    @property
    def _patience(self) -> float:
        return float(self.settings_dict["OPTIONS"].get("timeout", 5))

    def _turn(self) -> threading.Lock:
        return _turns.setdefault(str(self.settings_dict["NAME"]), threading.Lock())

    def _take_turn(self) -> None:
        if not self._turn().acquire(timeout=self._patience):
            raise OperationalError(f"database is locked: no turn to write within {self._patience} s")
        self._holds_turn = True

    def _end_turn(self) -> None:
        if self._holds_turn:
            self._holds_turn = False
            self._turn().release()
