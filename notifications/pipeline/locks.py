"""A lock that the operating system, or the database server, frees when its holder dies.

SQLite lives on one host: flock on a file. PostgreSQL: an advisory lock on a session of its own.
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.db import Error, connection
from django.db.backends.base.base import BaseDatabaseWrapper

SETTLING = 5  # seconds: two heartbeats, and some
LINES = 0x77617963  # another such name space: lines of ordered deliveries, each for the length of a transaction
NAMESPACE = 0x77617962  # "wayb": keeps our advisory locks apart from other programs' in the database


def take_turns(*words: str | None) -> None:
    """Until this transaction ends, nobody else gets past here with the same words. On SQLite who writes is alone."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LINES, " ".join(map(str, words))])


class ProcessLock(Protocol):
    def hold(self) -> bool:
        """Take the lock if it is free; True while we hold it. Call again to check, or to take it back."""

    def release(self) -> None: ...


def process_lock(key: int) -> ProcessLock:
    return AdvisoryLock(key) if connection.vendor == "postgresql" else FileLock(key)


def is_free(key: int) -> bool:
    """Is nobody alive holding this key?"""
    return _advisory_is_free(key) if connection.vendor == "postgresql" else _file_is_free(key)


def settled() -> bool:
    """Do free locks mean dead processes? Not right after the database server has dropped its sessions:
    the living take their locks back with their next heartbeat, which our own session's age tells."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp() - backend_start > %s * interval '1 second'"
            " FROM pg_stat_activity WHERE pid = pg_backend_pid()",
            [SETTLING],
        )
        return bool(cursor.fetchone()[0])


class FileLock:
    def __init__(self, key: int) -> None:
        self._path = _lock_file(key)
        self._file: int | None = None

    def hold(self) -> bool:
        if self._file is None:
            self._path.parent.mkdir(exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return _flock(self._file)

    def release(self) -> None:
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


class AdvisoryLock:
    def __init__(self, key: int) -> None:
        self._key = key
        self._session: BaseDatabaseWrapper | None = None

    def hold(self) -> bool:
        if self._session is None:
            self._session = connection.copy()
            self._session.inc_thread_sharing()
        try:
            with self._session.cursor() as cursor:
                # Taken again on each call and so counted; freed as a whole with the session.
                cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [NAMESPACE, self._key])
                return bool(cursor.fetchone()[0])
        except Error:
            self._session.close()
            return False

    def release(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _lock_file(key: int) -> Path:
    return Path(settings.WAYBILL_DATA) / "locks" / f"{key}.lock"


def _flock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _file_is_free(key: int) -> bool:
    try:
        file = os.open(_lock_file(key), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return _flock(file)
    finally:
        os.close(file)


def _advisory_is_free(key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [NAMESPACE, key])
        free = bool(cursor.fetchone()[0])
        if free:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [NAMESPACE, key])
    return free
