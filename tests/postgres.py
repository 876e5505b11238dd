"""A real PostgreSQL for tests, thrown away at the end: `server()` for a session, `database(server)` for a test.

TEST_DATABASE_URL names a server that is there already; else one is started from the binaries on PATH or
under /usr/lib/postgresql, as somebody other than root, with fsync on: tests that kill it mean it.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from config import ports
from tests.rig import missing

NOT_ROOT = ("postgres", "nobody")
STARTING = 30.0  # seconds
OPTIONS = {"fsync": "on", "synchronous_commit": "on", "max_connections": "200", "shared_buffers": "64MB"}


@contextmanager
def server():
    """The URL of a running server's maintenance database. Skips (on CI: fails) where there is none."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    binaries = find_binaries()
    if binaries is None:
        missing("no PostgreSQL: neither TEST_DATABASE_URL, nor initdb on PATH or under /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="waybill-postgres-"))
    try:
        with _started(binaries, folder) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


@contextmanager
def _started(binaries, folder):
    owner = _owner()
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data, log = folder / "data", folder / "server.log"
    initdb = [binaries / "initdb", "--pgdata", data, "--username", "waybill", "--auth", "trust", "--encoding", "UTF8"]
    subprocess.run([*initdb, "--no-sync"], check=True, capture_output=True, cwd=folder, **_as(owner))
    [port] = ports.free_ports(1)
    settings = [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
    argv = [binaries / "postgres", "-D", data, "-h", ports.HOST, "-p", str(port), "-k", folder, *settings]
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, cwd=folder, **_as(owner))
    try:
        yield _wait(f"postgres://waybill@{ports.HOST}:{port}/postgres", process, log)
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: sessions are ended, files left whole
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url, process, log):
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=1).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return url
    pytest.fail(f"PostgreSQL did not start:\n{log.read_text()[-2000:]}")


def _owner():
    """Whom to run it as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    owner = next((known[name] for name in NOT_ROOT if name in known), None)
    return owner or missing("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _as(owner):
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
