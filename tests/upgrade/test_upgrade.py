"""A shop of the first release, with work that waits, gets this one: nothing is lost, and the books balance."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest

from tests.journeys import tables
from tests.postgres import database, postgres_server
from tests.rig import CHECKOUT, NOT_INHERITED, until

__all__ = ["postgres_server"]
pytestmark = pytest.mark.crash
WAITING = "SELECT count(*) FROM notifications_delivery WHERE state IN ('ready', 'running', 'waiting')"


@dataclass
class Old:
    """A database of the first release, its data folder, and a bank."""

    folder: Path
    url: str
    bank_url: str = "http://127.0.0.1:9"

    @property
    def facts(self):
        return {"database_url": self.url}

    def environment(self):
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        mail = {"EMAIL_URL": f"filemail:///{self.folder}/letters", "BROKER_URL": "", "STRIPE_API_BASE": self.bank_url}
        return {**inherited, "WAYBILL_DATA": str(self.folder), "DATABASE_URL": self.url, **mail}

    def run(self, *argv):
        return subprocess.run(
            [sys.executable, *argv], cwd=CHECKOUT, env=self.environment(), capture_output=True, text=True, timeout=120
        )

    def manage(self, *argv):
        return self.run("manage.py", *argv)

    def write(self, sql):
        assert self.url.startswith("sqlite")
        tables._write(self, sql)

    def letters(self):
        """To whom and about what, as the mail server got them."""
        files = (self.folder / "letters").glob("*.log")
        texts = [text for file in files for text in file.read_bytes().split(b"-" * 79 + b"\n") if text.strip()]
        return sorted((letter["To"], letter["Subject"]) for letter in map(message_from_bytes, texts))


@pytest.fixture(scope="module")
def first_release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return filled(Old(folder, f"sqlite:///{folder}/waybill.sqlite3"))


@pytest.fixture
def old(first_release, tmp_path):
    """A shop of the first release on SQLite, for a test to do with as it likes."""
    shutil.copytree(first_release.folder, tmp_path / "shop")
    return Old(tmp_path / "shop", f"sqlite:///{tmp_path}/shop/waybill.sqlite3")


def filled(old):
    ran = old.run("-m", "tests.upgrade.before")
    assert ran.returncode == 0, ran.stderr
    return old


@pytest.fixture(params=["sqlite", "postgresql"])
def upgraded(request, tmp_path):
    """The first release's database with this release's migrations, and a bank for what is still in payment."""
    if request.param == "sqlite":
        yield from _upgraded(request.getfixturevalue("old"))
        return
    with database(request.getfixturevalue("postgres_server")) as url:
        yield from _upgraded(filled(Old(tmp_path, url)))


def _upgraded(old):
    argv = [sys.executable, "-m", "orders.gateways.bank", "--port", "0", "--ledger", str(old.folder / "bank.jsonl")]
    bank = subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    try:
        old.bank_url = bank.stdout.readline().split()[1]
        migrated = old.manage("migrate", "--no-input")
        assert migrated.returncode == 0, migrated.stderr
        yield old
    finally:
        bank.kill()
        bank.wait()
        bank.stdout.close()


def test_what_waited_is_done_nothing_is_lost_and_the_books_balance(upgraded):
    before = tables.rows(upgraded, "SELECT count(*) FROM notifications_event")
    relay = subprocess.Popen(
        [sys.executable, "manage.py", "relay"],
        cwd=CHECKOUT,
        env=upgraded.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: tables.rows(upgraded, WAITING) == [(0,)], within=90, what="all that waited to be done")
    finally:
        relay.terminate()
        relay.wait(20)

    numbers = dict(tables.rows(upgraded, "SELECT email, number FROM orders_order"))
    to = [address for address, _ in upgraded.letters()]
    dead = tables.rows(upgraded, "SELECT handler FROM notifications_delivery WHERE state = 'dead'")
    states = dict(tables.rows(upgraded, "SELECT email, status FROM orders_order"))
    profiles = tables.rows(upgraded, "SELECT u.email FROM accounts_profile p JOIN accounts_user u ON u.id = p.user_id")
    readers = tables.rows(upgraded, "SELECT email FROM notifications_subscriber ORDER BY email")
    said = json.loads(upgraded.manage("doctor", "--json").stdout)
    assert sorted(set(to)) == [
        "asks@example.org",
        "new@example.org",
        "old@example.org",
        "shipping@waybill.example",
        "waits@example.org",
    ]
    assert sum(numbers["waits@example.org"] in subject for _, subject in upgraded.letters()) == 3
    assert (dead, states["asks@example.org"]) == ([("orders.email_payment_failed",)], "paid")
    assert (profiles, readers) == ([("new@example.org",)], [("new@example.org",), ("reader@example.org",)])
    assert tables.rows(upgraded, "SELECT count(*) FROM notifications_event") > before
    assert [check for check in said["invariants"] if check["violations"]] == []


def test_the_flight_before_says_that_it_will_work_and_leaves_the_real_one_alone(old):
    old.write("UPDATE notifications_delivery SET available_at = '2026-01-01'")  # closed for a while before
    before = hashlib.sha256((old.folder / "waybill.sqlite3").read_bytes()).digest()

    ran = old.manage("preflight")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["✓", "Copied"],
        ["✓", "Migrated:"],
        ["✓", "Understood:"],
        ["✓", "The"],
        ["✓", "This"],
    ]
    assert "7 waiting deliveries" in lines[2]
    assert hashlib.sha256((old.folder / "waybill.sqlite3").read_bytes()).digest() == before
    assert list(old.folder.glob("preflight-*")) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE orders_stock SET on_hand = on_hand + 1", "The books do not balance. I4 "),
        (
            "UPDATE notifications_delivery SET handler = 'orders.gone' WHERE handler = 'orders.notify_shipping'",
            "does not know: orders.gone",
        ),
        ("CREATE TABLE orders_refund (id integer)", 'table "orders_refund" already exists'),
    ],
    ids=["books", "handlers", "migrations"],
)
def test_trouble_ahead_is_one_sentence_and_an_exit_of_1(old, change, words):
    old.write(change)

    ran = old.manage("preflight")

    assert (ran.returncode, words in ran.stderr) == (1, True), ran.stdout + ran.stderr
    assert "The real one was not touched." in ran.stderr
    assert "Traceback" not in ran.stderr


def test_on_postgresql_it_says_how_and_looks_at_the_copy(postgres_server, tmp_path):
    with database(postgres_server) as real:
        asked = Old(tmp_path, real).manage("preflight")
    with database(postgres_server) as copy:
        ran = filled(Old(tmp_path, copy)).manage("preflight", "--this-is-a-copy")

    assert (asked.returncode, "pg_dump" in asked.stderr) == (1, True)
    assert (ran.returncode, "✓ The books balance" in ran.stdout) == (0, True), ran.stdout + ran.stderr
