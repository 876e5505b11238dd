"""A shop on this machine: its processes, what it says of itself in up.json, its opening and closing."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import django

from config import broker, ports, programs
from config.env import BASE_DIR, env
from config.supervisor import Supervisor

if TYPE_CHECKING:
    from config.opening import Logins

OPENING_PATIENCE: Final = 60.0  # seconds until the first page; a machine with two busy cores needs five
HOPELESS: Final = 3  # deaths in a row before the first page: one more restart will not help
PAUSE: Final = 0.5  # seconds; a death or a signal cuts it short
LOG_TAIL: Final = 15  # lines


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
        tables = Tables(self._folder, addresses.database_url)
        if tables.were_ready():
            self._start_web()  # now, not after the two seconds in which this process reads the settings
        django.setup()
        logins = self._prepare_database(tables, with_demo=with_demo)
        self._wait_for_first_page()
        self._supervisor.start(programs.command("relay"))
        if addresses.broker_url:
            self._supervisor.start(programs.command("worker"))
        self._facts = _facts(addresses, logins)
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
        self._supervisor.start(programs.bank(port=bank_port, folder=self._folder))
        self._supervisor.start(programs.smtp(port=smtp_port, folder=self._folder))
        addresses = Addresses(
            url=programs.url(self._listener.getsockname()[1]),
            bank_url=programs.url(bank_port),
            smtp=f"{ports.HOST}:{smtp_port}",
            broker_url=self._start_broker(broker_port) if with_broker else "",
            database_url=programs.database_url(self._folder),
        )
        programs.set_environment(
            SITE_URL=addresses.url,
            STRIPE_API_BASE=addresses.bank_url,
            EMAIL_URL=f"smtp://{addresses.smtp}",
            DATABASE_URL=addresses.database_url,
        )
        programs.set_environment(BROKER_URL=addresses.broker_url)
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

    def _prepare_database(self, tables: "Tables", *, with_demo: bool) -> "Logins":
        from config import opening  # imports models, which exist only now

        if opening.migrate():
            self._say("The database is ready.")
        tables.note_ready()
        # From here on pages can be served: the web process starts while the rest is done.
        self._start_web()
        return opening.furnish(self._folder, with_demo=with_demo)

    def _start_web(self) -> None:
        if "web" not in self._supervisor.children:
            self._supervisor.start(programs.web(fd=self._listener.fileno()))

    def _wait_for_first_page(self) -> None:
        deadline = time.monotonic() + OPENING_PATIENCE
        while not ports.answers_http(self._listener.getsockname()[1], "/healthz"):
            self._supervisor.tick()
            self._supervisor.wait(ports.MOMENT / 10)
            hopeless = self._supervisor.children["web"].deaths >= HOPELESS
            if hopeless or time.monotonic() > deadline:
                log = self._supervisor.log("web")
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL:])
                raise NotOpened(f"The web process does not answer. The end of {log}:\n{tail}")

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


class Tables:
    """A note beside the data of which migrations its database has had.

    It decides only how early the web process may start: whether the tables are up to date is asked
    of the database in any case.
    """

    def __init__(self, folder: Path, database_url: str) -> None:
        self._note = folder / "migrated"
        self._url = database_url

    def were_ready(self) -> bool:
        file = sqlite_file(self._url)
        return self._note.exists() and self._note.read_text() == self._wanted() and (file is None or file.exists())

    def note_ready(self) -> None:
        self._note.write_text(self._wanted())

    def _wanted(self) -> str:
        ours = sorted(path.relative_to(BASE_DIR).as_posix() for path in BASE_DIR.glob("*/migrations/*.py"))
        others = (BASE_DIR / "requirements.txt").read_text()
        return hashlib.sha256(json.dumps([self._url, ours, others]).encode()).hexdigest()


def sqlite_file(database_url: str) -> Path | None:
    parts = urlsplit(database_url)
    return Path(unquote(parts.path.removeprefix("/"))) if parts.scheme == "sqlite" else None


def _facts(addresses: Addresses, logins: "Logins") -> dict[str, Any]:
    return {
        **asdict(addresses),
        "staff": {"email": logins.staff_email, "password": logins.staff_password},
        "api_keys": {"customer": logins.customer_key, "staff": logins.staff_key},
    }
