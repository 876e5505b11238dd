"""A real PostgreSQL for tests, thrown away at the end: `server()` for a session, `database(server)` for a test,
`Cluster` for tests that stop and kill it.

TEST_DATABASE_URL names a server that is there already; else one is started from the binaries on PATH or
under /usr/lib/postgresql, as somebody other than root. fsync is on: tests that kill it mean it.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from config import ports
from tests.rig import missing

NOT_ROOT = ("postgres", "nobody")
STARTING = 30.0  # seconds
OPTIONS = {"max_connections": "200", "shared_buffers": "64MB"}


@contextmanager
def server(*, fsync=True):
    """The URL of a running server's maintenance database. Skips (on CI: fails) where there is none."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    with cluster(fsync=fsync) as started:
        yield started.url


@contextmanager
def cluster(*, fsync=True):
    """A started server of our own. Skips (on CI: fails) where its binaries are missing."""
    binaries = find_binaries()
    if binaries is None:
        missing("no PostgreSQL: neither TEST_DATABASE_URL, nor initdb on PATH or under /usr/lib/postgresql")
    with tempfile.TemporaryDirectory(prefix="waybill-postgres-", ignore_cleanup_errors=True) as folder:
        made = Cluster(binaries, Path(folder), fsync=fsync)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@contextmanager
def database(server_url):
    """The URL of an empty database of one's own on the server, dropped at the end."""
    name = f"waybill_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_server():
    with server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server):
    with database(postgres_server) as url:
        yield url


def find_binaries():
    """The folder with initdb and postgres: of those on PATH, else the newest under /usr/lib/postgresql."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


class Cluster:
    """One server on one data folder and port, through stops, kills and starts."""

    def __init__(self, binaries, folder, *, fsync=True):
        self._binaries, self._folder, self._owner = binaries, folder, _owner()
        [self.port] = ports.free_ports(1)
        self.url = f"postgres://waybill@{ports.HOST}:{self.port}/postgres"
        self._process = None
        self._options = OPTIONS | dict.fromkeys(("fsync", "synchronous_commit"), "on" if fsync else "off")
        if self._owner:
            os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
        initdb = [binaries / "initdb", "--pgdata", folder / "data", "--username", "waybill", "--auth", "trust"]
        subprocess.run([*initdb, "--encoding", "UTF8", "--no-sync"], check=True, capture_output=True, **self._as_owner)

    def start(self):
        """Start it; returns when it accepts connections."""
        settings = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        argv = [self._binaries / "postgres", "-D", self._folder / "data", "-h", ports.HOST, "-p", str(self.port)]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*argv, "-k", self._folder, *settings], stdout=log, stderr=log, **self._as_owner
            )
        deadline = time.monotonic() + STARTING
        while not self._accepts():
            if time.monotonic() > deadline or self._process.poll() is not None:
                pytest.fail(f"PostgreSQL did not start:\n{(self._folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self):
        """SIGKILL for all of it at once: its first process is stopped before, else it would start new ones."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until it has stopped
        for pid in list(_children(self._process.pid)):
            os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def stop(self):
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: sessions are ended, files left whole
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _accepts(self):
        try:
            psycopg.connect(self.url, connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _as_owner(self):
        who = self._owner
        as_who = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []} if who else {}
        return {"cwd": self._folder} | as_who


def _children(pid):
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended meanwhile
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(stat.parent.name)


def _owner():
    """Whom to run it as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    owner = next((known[name] for name in NOT_ROOT if name in known), None)
    return owner or missing("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
