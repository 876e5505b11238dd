"""Append-only files of one JSON object a line, read again after any death of the process."""

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class AlreadyOpen(Exception):
    """Another bank writes this file."""


class LineFile:
    """One file, one writer process, whole lines only."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises AlreadyOpen when another process holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._writing = threading.Lock()
        self._file = _opened(path)

    def append(self, record: Record, *, durable: bool) -> None:
        """Write one line; when `durable`, return only after the disk has it.

        Without `durable` the line survives the death of this process, not of the machine.
        """
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._writing:
            os.write(self._file, line)  # one write: a kill leaves the line whole or absent
            if durable:
                os.fsync(self._file)

    def records(self) -> Iterator[Record]:
        """Every record, oldest first; a line torn by a power cut was never answered for, and is cut off."""
        whole = self.path.read_bytes()
        keep = whole.rfind(b"\n") + 1
        if keep < len(whole):
            os.truncate(self._file, keep)
        yield from map(json.loads, whole[:keep].splitlines())

    def replace(self, records: Iterable[Record]) -> None:
        """Put these records in the place of all that is there, in one step."""
        draft = self.path.with_suffix(".draft")
        draft.write_text("".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records))
        fresh = _opened(draft)
        os.fsync(fresh)
        draft.replace(self.path)
        os.close(self._file)
        self._file = fresh


class Ledger:
    """Every movement of money, on disk before anyone is told of it."""

    def __init__(self, path: Path) -> None:
        self._lines = LineFile(path)
        self.records = self._lines.records

    def write(self, *, kind: str, key: str, reference: str, amount: int, currency: str, status: str, id: str) -> None:
        """Add one line, flushed and fsynced. `key` is the idempotency key of the request that moved the money."""
        self._lines.append(
            {
                "at": datetime.now(UTC).isoformat(),
                "kind": kind,
                "key": key,
                "reference": reference,
                "amount": amount,
                "currency": currency,
                "status": status,
                "id": id,
            },
            durable=True,
        )


def _opened(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise AlreadyOpen(path) from None
    return file
