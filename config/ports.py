"""Free ports on loopback."""

import random
import socket
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from typing import Final

HOST: Final = "127.0.0.1"
BACKLOG: Final = 1024
# Below the range from which systems take the near end of outgoing connections (32768 on Linux, 49152 elsewhere):
# while a server is down, nobody's outgoing connection, not even one to itself, takes its port away.
QUIET_RANGE: Final = range(20_000, 32_000)
TRIES: Final = 200
MOMENT: Final = 0.5  # seconds


def listen(port: int) -> socket.socket:
    """A listening socket on the port (0 = any free one). Raises OSError when it is taken."""
    return socket.create_server((HOST, port), backlog=BACKLOG)


def listen_from(port: int) -> socket.socket:
    """A listening socket on the port or, where that is taken, on the next free one."""
    for candidate in range(port, min(port + TRIES, 65_536)):
        try:
            return listen(candidate)
        except OSError:
            continue
    return listen(0)


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now, fit to be listened on again after a restart."""
    with ExitStack() as held:
        return [held.enter_context(_somewhere_quiet()).getsockname()[1] for _ in range(count)]


def answers_http(port: int, path: str) -> bool:
    """Whether somebody answers a GET there, within a moment, with anything but a fault of the server."""
    connection = HTTPConnection(HOST, port, timeout=MOMENT)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _somewhere_quiet() -> socket.socket:
    for candidate in random.sample(QUIET_RANGE, TRIES):
        try:
            return listen(candidate)
        except OSError:
            continue
    return listen(0)
