"""A shop on this machine: its processes, what it says of itself in up.json, its opening and closing."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from config import broker, ports, programs
from config.env import BASE_DIR, env
from config.supervisor import Supervisor

OPENING_PATIENCE: Final = 180.0  # seconds for each step to the first page; all of them take three on two free cores
SHORT_PAUSE: Final = 0.02  # seconds
PAUSE: Final = 0.5  # seconds; a death or a signal cuts it short


class NotOpened(Exception):
    """Why the shop could not open, in words."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    url: str
    bank_url: str
    smtp: str
    broker_url: str
    database_url: str


class LocalShop:
    """One shop on one data folder. The caller holds the folder's lock, and calls `close` whatever happens."""

    def __init__(self, *, folder: Path, listener: socket.socket, say: Callable[[str], None]) -> None:
        self._folder, self._listener, self._say = folder, listener, say
        self._supervisor = Supervisor(logs=folder / "logs", cwd=BASE_DIR, say=say)
        self._facts_file = folder / "up.json"
        self._facts_file.unlink(missing_ok=True)  # left by a shop that was killed
        self._facts: dict[str, Any] = {}

    def open(self, *, with_demo: bool, with_broker: bool) -> None:
        """Start everything; on return the first page answers and up.json is written. Raises NotOpened."""
        addresses = self._start_servers(with_broker=with_broker)
        logins = self._open_web(with_demo=with_demo)
        self._supervisor.start(programs.command("relay"))
        if addresses.broker_url:
            self._supervisor.start(programs.command("worker"))
        self._facts = asdict(addresses) | logins
        self._write_facts()

    def announce(self) -> None:
        facts = self._facts
        self._say(f"\nWaybill is open: {facts['url']}/")
        for name, words in {
            "Staff": f"{facts['url']}/admin/ as {facts['staff']['email']}, password {facts['staff']['password']}",
            "API keys": f"customer {facts['api_keys']['customer']}",
            "": f"staff    {facts['api_keys']['staff']}",
            "Mailbox": f"{facts['url']}/mailbox/ (SMTP at {facts['smtp']})",
            "Broker": facts["broker_url"] or "none; the relay runs the handlers",
            "Data": f"{self._folder} (logs in logs/)",
        }.items():
            self._say(f"  {name:<10}{words}")
        self._say("Ctrl-C stops it.\n")

    def keep_open(self) -> None:
        """Restart what dies, until interrupted."""
        while True:
            self._tend()

    def smoke(self) -> int:
        """Place one order from outside and wait for its letters; 0 when all was seen."""
        argv = [sys.executable, "-m", "config.smoke", str(self._facts_file)]
        with subprocess.Popen(argv, cwd=BASE_DIR, start_new_session=True) as buyer:  # noqa: S603
            try:
                while buyer.poll() is None:
                    self._tend()
            finally:
                buyer.kill()
        return buyer.returncode

    def close(self) -> None:
        """Stop everything, within 5 s."""
        self._supervisor.stop()
        self._listener.close()
        self._facts_file.unlink(missing_ok=True)

    def _start_servers(self, *, with_broker: bool) -> Addresses:
        bank_port, smtp_port, broker_port = ports.free_ports(3)
        site = programs.url(self._listener.getsockname()[1])
        self._supervisor.start(programs.bank(port=bank_port, folder=self._folder, shop=site))
        self._supervisor.start(programs.smtp(port=smtp_port, folder=self._folder))
        addresses = Addresses(
            url=site,
            bank_url=programs.url(bank_port),
            smtp=f"{ports.HOST}:{smtp_port}",
            broker_url=self._start_broker(broker_port) if with_broker else "",
            database_url=programs.database_url(self._folder),
        )
        programs.offer(
            SITE_URL=addresses.url,
            STRIPE_API_BASE=addresses.bank_url,
            EMAIL_URL=f"smtp://{addresses.smtp}",
            DATABASE_URL=addresses.database_url,
        )
        programs.impose("BROKER_URL", addresses.broker_url)  # empty where --no-broker overrules
        return addresses

    def _start_broker(self, port: int) -> str:
        given: str | None = env.str("BROKER_URL", None)
        server = broker.find_server()
        if given is not None or server is None:
            return given or ""
        folder = self._folder / "broker"
        for _ in range(2):
            child = self._supervisor.start(broker.program(server=server, port=port, folder=folder))
            if broker.answers(child, port=port):
                return broker.url(port)
            self._supervisor.forget("broker")
            broker.set_aside(folder)
        self._say(f"{server} does not start, see {self._supervisor.log('broker')}.")
        return ""

    def _open_web(self, *, with_demo: bool) -> dict[str, Any]:
        fd = self._listener.fileno()
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as pipe:
            self._supervisor.start(programs.opening_web(fd=fd, logins=writer, with_demo=with_demo))
            os.close(writer)
            self._await(lambda: _readable(pipe))
            logins = pipe.read()
        self._supervisor.restart_as(programs.web(fd=fd))
        self._await(lambda: ports.answers_http(self._listener.getsockname()[1], "/healthz"))
        return dict(json.loads(logins))

    def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + OPENING_PATIENCE
        web = self._supervisor.children["web"].process
        while not condition():
            if web.poll() is not None or time.monotonic() > deadline:
                self._cannot_open()
            self._supervisor.wait(SHORT_PAUSE)

    def _cannot_open(self) -> NoReturn:
        log = self._supervisor.log("web")
        raise NotOpened(f"The web process does not answer. The end of {log}:\n{self._supervisor.end_of_log('web')}")

    def _tend(self) -> None:
        if self._supervisor.tick():
            self._write_facts()
        self._supervisor.wait(PAUSE)

    def _write_facts(self) -> None:
        pids = self._supervisor.pids()
        names = ("web", "worker", "relay", "bank", "broker", "smtp")
        facts = self._facts | {"pid": os.getpid(), "processes": {name: pids.get(name) for name in names}}
        draft = self._facts_file.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(facts, indent=2) + "\n")
        draft.rename(self._facts_file)


def _readable(pipe: BinaryIO) -> bool:
    return bool(select.select([pipe], [], [], 0)[0])
