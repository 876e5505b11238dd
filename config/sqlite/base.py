"""Django's SQLite backend, plus one rule: the threads of a process take turns to write.

SQLite's own busy loop is unfair and sleeps longer each time, up to a tenth of a second: among eight writers one was
measured waiting 1.4 to 8 s. A lock in the process lets only one thread of it wait for other processes at a time, and
that one looks again after half a millisecond, and later every five.
"""

import threading
import time
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

FIRST_LOOK, LAST_LOOK = 0.0005, 0.005  # seconds from one to the next

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
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except OperationalError as error:
            if not _is_locked(error) or not self._begin_later():
                raise
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {int(self._patience * 1000)}")

    def _begin_later(self) -> bool:
        """As soon as no other process writes. By the driver alone: what is tried again is no statement of anybody's."""
        deadline, pause = time.monotonic() + self._patience, FIRST_LOOK
        while time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(pause * 2, LAST_LOOK)
            try:
                with self.wrap_database_errors:
                    self.connection.execute("BEGIN IMMEDIATE")
            except OperationalError as error:
                if not _is_locked(error):
                    raise
            else:
                return True
        return False

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


def _is_locked(error: OperationalError) -> bool:
    return "locked" in str(error)
