"""Every place where a process may die, counted and named, with the power to die there.

A boundary is a statement or COMMIT sent to the database, a request to or an answer from the gateway, a step of the
talk with the mail server, the renaming or writing of a whole file, the answer to the client. The product carries no
fault points: `instrument` wraps what the product stands on, in the process in which it is called.

What is shown: SIGKILL of the process. A power cut of the machine is not shown.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import smtplib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from django.db import connection

SIDES = ("before", "after")
KINDS = ("sql", "commit", "rollback", "gateway", "smtp", "file", "answer")
WRITES = ("INSERT", "UPDATE", "DELETE", "SELECT pg_notify")  # outside of a transaction they are done at once
CLAIM = "UPDATE notifications_delivery"  # outside of a transaction: a worker's claim, which is its own COMMIT


@dataclass(frozen=True)
class Boundary:
    """The n-th crossing of a flow, from 1."""

    n: int
    kind: str
    text: str
    lasting: bool  # it leaves something that outlives the process: what only reads, or is not committed yet, does not

    def __str__(self):
        return f"{self.n} {self.kind} {self.text}"


@dataclass(frozen=True)
class Kill:
    """At the n-th boundary; with a kind, at the n-th of that kind."""

    n: int
    side: str
    kind: str = ""

    def __str__(self):
        return f"{self.side} {self.kind} {self.n}".replace("  ", " ")


@dataclass
class Progress:
    """How far a flow has come, in the terms in which crash points are told apart."""

    commits: int = 0
    recorded: int = 0  # commits since the gateway or the mail server has answered
    open: bool = False  # a transaction is open
    asked: str = ""  # the last request to the gateway
    answered: bool = False  # and whether its answer has been read
    mailed: bool = False  # the letter is on its way; the mail server may have accepted it
    told: bool = False  # the client has its answer

    def commit(self):
        self.commits += 1
        self.recorded += self.answered or self.mailed


class Boundaries:
    """Counts the crossings of one process and, told to, ends it at one of them."""

    def __init__(self, *, hits: Path) -> None:
        """`hits` gets a line for each death."""
        self._hits = hits
        self.start("", None, None)

    def start(self, flow: str, point, kill: Kill | None) -> None:
        """Count from 1 again; die at `kill`. `point` names the crash point of a Progress."""
        self.seen: list[Boundary] = []
        self._of_kind: Counter[str] = Counter()
        self._kill = kill
        self.continue_as(flow, point)

    def continue_as(self, flow: str, point) -> None:
        """What follows is another flow, as far as crash points are concerned; the count goes on."""
        self._flow, self._point, self.progress = flow, point, Progress()

    @contextlib.contextmanager
    def crossing(self, kind: str, text: str, reached=lambda progress: None, *, lasting=True):
        """The body is what lies between the two sides of a boundary; `reached` notes how far one is behind it."""
        boundary = Boundary(len(self.seen) + 1, kind, text, lasting)
        self.seen.append(boundary)
        self._of_kind[kind] += 1
        nth = self._of_kind[kind]
        self._die_if_told(boundary, nth, "before")
        try:
            yield
        finally:
            reached(self.progress)
            self._die_if_told(boundary, nth, "after")

    def _die_if_told(self, boundary, nth, side):
        if self._kill not in (Kill(boundary.n, side), Kill(nth, side, boundary.kind)):
            return
        self.progress.open = connection.in_atomic_block
        hit = {**asdict(boundary), "side": side, "flow": self._flow, "point": self._point(self.progress)}
        file = os.open(self._hits, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, json.dumps(hit).encode() + b"\n")  # one write: whole or absent
        os.kill(os.getpid(), signal.SIGKILL)


def instrument(boundaries: Boundaries) -> None:
    """From here on, this process crosses `boundaries`. There is no way back: call it in a forked child."""
    _watch_database(boundaries)
    _watch_gateway(boundaries)
    _watch_mail(boundaries)
    _watch_files(boundaries)


# -- the database -----------------------------------------------------------------------------


def _watch_database(boundaries):
    def statement(execute, sql, params, many, context):
        alone = not connection.in_atomic_block
        reached = Progress.commit if alone and short(sql) == CLAIM else _having()
        with boundaries.crossing("sql", short(sql), reached, lasting=alone and short(sql).startswith(WRITES)):
            return execute(sql, params, many, context)

    connection.execute_wrappers.append(statement)
    _wrap(connection, "_commit", lambda: boundaries.crossing("commit", "COMMIT", Progress.commit))
    _wrap(connection, "_rollback", lambda: boundaries.crossing("rollback", "ROLLBACK", lasting=False))


def short(sql: str) -> str:
    """`INSERT orders_order`: what a statement does, and to which table first."""
    words = re.sub(r'["(),]', " ", sql).split()
    verb = words[0].upper() if words else ""
    table = re.search(r'(?:INTO|UPDATE|FROM)\s+"?(\w+)"?', sql)
    return f"{verb} {table.group(1)}" if table else " ".join([verb, *words[1:2]])[:60]


# -- the gateway ------------------------------------------------------------------------------


def _watch_gateway(boundaries):
    """The SDK's client is the only one in the shop that speaks through http.client."""
    ask, answer = http.client.HTTPConnection.request, http.client.HTTPConnection.getresponse

    def request(self, method, url, *args, **options):
        boundaries.progress.asked, boundaries.progress.answered = "", False
        what = f"{method} {re.sub('_[0-9a-zA-Z]{16,}', '_*', url.partition('?')[0])}"
        with boundaries.crossing("gateway", f"request {what}", _having(asked=what)):
            return ask(self, method, url, *args, **options)

    def getresponse(self):
        with boundaries.crossing("gateway", f"answer {boundaries.progress.asked}", _having(answered=True)):
            return answer(self)

    http.client.HTTPConnection.request, http.client.HTTPConnection.getresponse = request, getresponse


# -- the mail server --------------------------------------------------------------------------


def _watch_mail(boundaries):
    """Connect, then each line sent and each answer read: EHLO, MAIL, RCPT, DATA, the letter itself, QUIT."""
    connect, send, getreply = smtplib.SMTP.connect, smtplib.SMTP.send, smtplib.SMTP.getreply
    last = {"said": "connect"}

    def connecting(self, *args, **options):
        with boundaries.crossing("smtp", "connect"):
            return connect(self, *args, **options)

    def sending(self, what):
        text = what if isinstance(what, str) else what.decode("ascii", "replace")
        last["said"] = "letter" if last["said"] == "DATA" else text.split()[0].upper()
        sent = _having(mailed=True) if last["said"] == "letter" else _having()
        with boundaries.crossing("smtp", last["said"], sent):
            return send(self, what)

    def reading(self):
        with boundaries.crossing("smtp", f"answer to {last['said']}"):
            return getreply(self)

    smtplib.SMTP.connect, smtplib.SMTP.send, smtplib.SMTP.getreply = connecting, sending, reading


# -- files ------------------------------------------------------------------------------------


def _watch_files(boundaries):
    """Whole files put in their place; Path.rename, Path.replace and Django's storages come down to these."""
    _wrap(os, "rename", lambda source, *_, **__: boundaries.crossing("file", f"rename {Path(source).suffix}"))
    _wrap(os, "replace", lambda source, *_, **__: boundaries.crossing("file", f"replace {Path(source).suffix}"))
    _wrap(Path, "write_bytes", lambda path, *_, **__: boundaries.crossing("file", f"write {path.suffix}"))
    _wrap(Path, "write_text", lambda path, *_, **__: boundaries.crossing("file", f"write {path.suffix}"))


def _having(**facts):
    return lambda progress: vars(progress).update(facts)


def _wrap(owner, name, crossing):
    inner = getattr(owner, name)

    def wrapped(*args, **options):
        with crossing(*args, **options):
            return inner(*args, **options)

    setattr(owner, name, wrapped)
