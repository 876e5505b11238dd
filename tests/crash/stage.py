"""A stage for crashes: a bank, a mailbox, a database, and actors who play the shop's processes and are killed.

The bank and the mailbox are real processes that live as long as the stage; they are the witnesses. Time is moved on
by making every row older, so that nobody has to wait for it.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from config import ports
from config.supervisor import Program, Supervisor
from config.supervisor import _die_with as die_with
from tests.crash.actors import Actor, Part

CHECKOUT = Path(__file__).resolve().parents[2]
SECRET = "whsec_crash_tests_only_0123456789abcdef"
LATE = 0.3  # seconds until the bank charges a late card
IMPATIENT = 0.2  # seconds that actors wait for the bank, where time-outs are part of the play
STARTING = 60.0  # seconds
ARRANGING = 300.0  # seconds: the keeper may have a hundred orders to place, on a machine that does much else


class Bank:
    """The real bank, as a process with a ledger of its own from one clearing of the stage to the next.

    It is forked, not started: a new bank for each world costs milliseconds. It is never killed in the middle of one.
    """

    def __init__(self, port: int, folder: Path, *, tells: str) -> None:
        self.port, self._ledger, self._tells, self._pid = port, folder / "bank.jsonl", tells, 0

    def open(self) -> None:
        for file in self._ledger.parent.glob("bank.jsonl*"):
            file.unlink()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            die_with(parent)
            self._serve()
        await_port(self.port)

    def close(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _serve(self) -> None:
        try:
            from orders.gateways.bank.__main__ import main

            options = {"--port": self.port, "--ledger": self._ledger, "--late": LATE}
            options |= {"--webhook-url": self._tells, "--webhook-secret": SECRET}
            sys.argv = ["bank", *(str(word) for option in options.items() for word in option), "--playground"]
            log = os.open(self._ledger.parent / "bank.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            main()
        finally:
            os._exit(1)


def await_port(port: int) -> None:
    deadline = time.monotonic() + STARTING
    while True:
        try:
            return socket.create_connection((ports.HOST, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.003)


def nothing() -> None:
    """The mutation of a shop that is as it should be."""


class Stage:
    """Open one in a process of its own (`open_stage`): Django is set up once, for one database."""

    def __init__(self, folder: Path, supervisor: Supervisor, bank: Bank) -> None:
        self.folder, self.bank, self._supervisor = folder, bank, supervisor
        self.hits_file, self.events_file = folder / "hits.jsonl", folder / "events.jsonl"
        self.receipts_file = folder / "mailbox" / "receipts.jsonl"
        self.mutate: Callable[[], None] = nothing  # called once in each new actor
        self.patience: float | None = (
            None  # seconds that a new actor waits for the bank; None: as long as the shop does
        )
        self.moved = 0.0  # seconds that have passed for the rows
        self.pressed = 0  # poisoned deliveries that a person has retried
        self._marks: dict[Path, int] = {}
        self._keeper: Actor | None = None
        self._troupe: dict[int, Actor] = {}

    def close(self) -> None:
        self._send_home()
        if self._keeper:
            self._keeper.send_home()
        self.bank.close()
        self._supervisor.stop()

    def actor(self, *, honest: bool = False) -> Actor:
        """A new process of the shop; an honest one is never a mutant."""
        mutate = nothing if honest else self.mutate
        return Actor(hits=self.hits_file, log=self.folder / "actors.log", prepare=lambda: self._prepare(mutate))

    def _prepare(self, mutate: Callable[[], None]) -> None:
        from accounts import keys
        from notifications.pipeline import doorbell
        from notifications.webhooks import interest
        from orders import recovery
        from orders.gateways import stripe_client

        # What is remembered for a while would be a boundary that comes and goes.
        doorbell.NOTIFY_EVERY = 0.0
        vars(interest)["REMEMBERED"] = -1.0
        vars(keys)["NOTED_EVERY"] = timedelta(0)
        if self.patience is not None:
            vars(stripe_client)["TOTAL_SECONDS"] = vars(recovery)["BRIEFLY"] = self.patience
            vars(stripe_client)["LIST_SECONDS"] = 10 * self.patience
        mutate()

    def player(self, i: int) -> Actor:
        """The i-th process of the shop; a new one when the last one has been killed."""
        if i not in self._troupe or not self._troupe[i].alive:
            self._troupe[i] = self.actor()
        return self._troupe[i]

    def play_worlds(self, mutate: Callable[[], None] = nothing) -> None:
        """From now on every process of the shop is impatient, and this mutant."""
        self.mutate = mutate
        self.patience = IMPATIENT
        self._send_home()

    def _send_home(self) -> None:
        for actor in self._troupe.values():
            actor.send_home()
        self._troupe.clear()

    def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """What the keeper of the house finds out or arranges: an actor whom nobody disturbs."""
        if self._keeper is None or not self._keeper.alive:
            self._keeper = self.actor(honest=True)
        ending = self._keeper.start(Part(function, args)).ending(within=ARRANGING)
        assert not ending.broke and not ending.killed, ending.broke or "the keeper was killed"
        return ending.gave

    # -- the witnesses --------------------------------------------------------------------------

    def hits(self) -> list[dict[str, Any]]:
        return list(self._since_cleared(self.hits_file))

    def events(self) -> list[dict[str, Any]]:
        """What the bank has told the shop's address: bodies and signatures, in the order in which they came."""
        return list(self._since_cleared(self.events_file))

    def receipts(self) -> list[dict[str, Any]]:
        return list(self._since_cleared(self.receipts_file))

    def _since_cleared(self, file: Path) -> Iterator[dict[str, Any]]:
        if not file.exists():
            return
        with file.open() as lines:
            lines.seek(self._marks.get(file, 0))
            yield from (json.loads(line) for line in lines if line.endswith("\n"))

    # -- the house ------------------------------------------------------------------------------

    def clear(self) -> None:
        """An empty shop with its furniture, and witnesses that begin anew."""
        from tests.crash import rows  # it needs Django, which is set up by then

        self.bank.close()
        self.ask(rows.empty)
        self.bank.open()
        for file in (self.events_file, self.receipts_file, self.hits_file):
            self._marks[file] = file.stat().st_size if file.exists() else 0
        self.moved = 0.0

    def move_time(self, seconds: float) -> None:
        """So many seconds pass for every row: each time in the database becomes older by them."""
        from tests.crash import rows

        self.ask(rows.make_older, seconds)
        self.moved += seconds


# -- opening ----------------------------------------------------------------------------------


@contextlib.contextmanager
def open_stage(folder: Path, *, database_url: str = "") -> Iterator[Stage]:
    """Start the witnesses, set Django up for this folder and database, migrate, and warm up."""
    folder.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(logs=folder / "logs", cwd=CHECKOUT, say=lambda _: None)
    bank, smtp, collector = ports.free_ports(3)
    stage = Stage(folder, supervisor, Bank(bank, folder, tells=f"http://{ports.HOST}:{collector}/"))
    try:
        _open(stage, smtp, collector, database_url)
        yield stage
    finally:
        stage.close()


def _open(stage: Stage, smtp: int, collector: int, database_url: str) -> None:
    os.environ |= {
        "WAYBILL_DATA": str(stage.folder),
        "DATABASE_URL": database_url or f"sqlite:///{quote(str(stage.folder))}/shop.sqlite3",
        "STRIPE_API_BASE": f"http://{ports.HOST}:{stage.bank.port}",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "EMAIL_URL": f"smtp://{ports.HOST}:{smtp}",
        "BROKER_URL": "",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "ERROR"),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    for name, *argv in (
        ("collector", "tests.crash.collector", str(collector), str(stage.events_file)),
        ("mailbox", "notifications.mail.mailbox", "--port", str(smtp), "--folder", str(stage.folder / "mailbox")),
    ):
        stage._supervisor.start(Program(name=name, argv=[sys.executable, "-m", *argv], serves=True))
    _set_django_up()
    await_port(smtp)
    await_port(collector)
    stage.bank.open()
    _warm_up()


def _set_django_up() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from tests.crash import rows

    call_command("migrate", verbosity=0)
    rows.move_in()
    connections.close_all()


def _warm_up() -> None:
    """Let this process do everything once, so that its children find code, routes and templates loaded."""
    from django.db import connections

    from orders.gateways.transport import TimedClient
    from tests.crash import flows

    flows.rehearse()
    connections.close_all()
    for line in [thing for thing in gc.get_objects() if type(thing) is TimedClient]:
        line.close()  # else the children would share one connection to the bank
    gc.collect()
    gc.freeze()
