"""One shop for each database and each way to run handlers. What is promised is promised by all four."""

import json
import secrets
import subprocess
import sys
from contextlib import ExitStack

import pytest

from tests.journeys import tables
from tests.postgres import database, postgres_server
from tests.rig import CHECKOUT, Shop, until

__all__ = ["postgres_server"]

WAYS = [("sqlite", "relay"), ("sqlite", "worker"), ("postgresql", "relay"), ("postgresql", "worker")]
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.conformance.settings"}


class Place:
    """A shop whose handlers are run by `runner`, seen from outside; and a process inside that publishes."""

    def __init__(self, shop, runner, insider):
        self.shop, self.runner, self._insider = shop, runner, insider

    def do(self, what, **asked):
        self._insider.stdin.write(json.dumps({"do": what, **asked}) + "\n")
        self._insider.stdin.flush()
        return json.loads(self._insider.stdout.readline())

    def ran(self, tag, what="done"):
        """What the handlers wrote down of this test, in the order in which they did."""
        file = self.shop.folder / "ran.jsonl"
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        ran = [json.loads(line) for line in lines if line.endswith("\n")]
        return [line for line in ran if (line["tag"], line["what"]) == (tag, what)]

    def mark(self, name):
        (self.shop.folder / name).touch()

    def deliveries(self, tag):
        """(state, attempt) of each delivery to a handler of these tests; that of the alert is not meant."""
        found = tables.deliveries(self.shop, tag, "d.handler, d.state, d.attempt")
        return [row[1:] for row in found if row[0].startswith("tests.")]

    def interrupted(self, tag):
        """How tries ended that did not come to their end, and why."""
        sql = (
            "SELECT a.outcome, a.message FROM notifications_attempt a"
            " JOIN notifications_delivery d ON d.id = a.delivery_id"
            " JOIN notifications_event e ON e.id = d.event_id WHERE e.correlation_id = %s"
        )
        return tables.rows(self.shop, sql, tag)

    def until_done(self, tag, count, *, within=30):
        def all_done():
            return [row[0] for row in self.deliveries(tag)] == ["done"] * count

        until(all_done, within=within, what=f"{count} deliveries of {tag}: {self.deliveries(tag)}")

    def until_back(self, pid):
        self.shop.until_restarted(self.runner, pid)
        self.until_at_work()

    def until_at_work(self):
        """What is published is run by `runner`: until a worker is ready, the relay runs all itself."""
        pid = self.shop.facts["processes"][self.runner]
        until(lambda: self._runs_in() == pid, within=60, what=f"{self.runner} to be at work")

    def _runs_in(self):
        tag = secrets.token_hex(4)
        self.do("publish", kind="plain", tag=tag, count=1)
        self.until_done(tag, 1)
        return self.ran(tag)[0]["pid"]


@pytest.fixture(scope="session", params=WAYS, ids=lambda way: "-".join(way))
def place(request, tmp_path_factory):
    kind, runner = request.param
    folder = tmp_path_factory.mktemp(f"conformance-{kind}-{runner}")
    with ExitStack() as stack:
        server = request.getfixturevalue("postgres_server") if kind == "postgresql" else None
        url = {"DATABASE_URL": stack.enter_context(database(server))} if server else {}
        options = ["--no-demo", *(["--no-broker"] if runner == "relay" else [])]
        shop = stack.enter_context(Shop(folder, *options, env=SETTINGS | url))
        argv = [sys.executable, "-m", "tests.conformance.insider"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        insider = stack.enter_context(subprocess.Popen(argv, cwd=CHECKOUT, env=shop.environment(), **pipes))
        stack.callback(insider.stdin.close)
        wanted = {"relay"} | {runner}
        until(lambda: tables.runners(shop) == wanted, within=60, what="those who run handlers to be at work")
        made = Place(shop, runner, insider)
        made.do("stock", sku="MUG")
        made.until_at_work()
        yield made


@pytest.fixture
def tag():
    return f"test-{secrets.token_hex(4)}"
