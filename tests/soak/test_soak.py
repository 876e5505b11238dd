"""Everything under the pipeline dies again and again, at random, while it works: nothing is lost, nothing done twice.

5,000 events; 100,000 with --full. WAYBILL_SOAK=n takes n of them.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from itertools import pairwise

import pytest

from config import broker as brokers
from config import ports
from tests import postgres
from tests.broker.conftest import Server
from tests.broker.test_kills import THREADS
from tests.journeys import tables
from tests.journeys.conftest import books_balance, staffed
from tests.rig import CHECKOUT, Shop, missing, until
from tests.soak.publish import LETTERS, LINES

__all__ = ["books_balance"]

pytestmark = pytest.mark.crash

FULL = os.environ.get("WAYBILL_FULL") == "1"
EVENTS = int(os.environ.get("WAYBILL_SOAK", "100000" if FULL else "5000"))
SLOWEST = 25  # events a second: what is slower than that, with all its kills, counts as stuck
TURNS = 40  # of each of the fifty lines
BESIDE_POISON = 199


class Place(Shop):
    """A shop whose database server and broker belong to the test."""

    def __init__(self, folder, cluster, broker, *, env):
        super().__init__(folder, env=env)
        self.cluster, self.broker = cluster, broker

    def publish(self, *arguments):
        argv = [sys.executable, "-m", "tests.soak.publish", *map(str, arguments)]
        return subprocess.Popen(argv, cwd=CHECKOUT, env=self.environment())

    def one(self, sql, *values):
        [(value,)] = tables.rows(self, sql, *values)
        return value

    def unfinished(self, name):
        return self.one(
            "SELECT count(*) FROM notifications_delivery d JOIN notifications_event e ON e.id = d.event_id"
            " WHERE e.name = %s AND d.state <> 'done'",
            name,
        )


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soak")
    server = brokers.find_server() or missing("no Valkey or Redis server")
    [port] = ports.free_ports(1)
    home = folder / "broker"
    broker = Server(brokers.program(server=server, port=port, folder=home), home, port)
    broker.start()
    try:
        with postgres.cluster() as cluster, postgres.database(cluster.url) as url:
            env = {
                "DATABASE_URL": url,
                "BROKER_URL": brokers.url(port),
                "DJANGO_SETTINGS_MODULE": "tests.soak.settings",
            }
            with Place(folder / "shop", cluster, broker, env=env) as opened:
                staffed(opened)
                assert opened.publish("tables", 0).wait(60) == 0
                yield opened
    finally:
        broker.kill()


@contextmanager
def workers_dying(shop, dice):
    """Inside, a worker is killed every two to five seconds. Yields the list of kills."""
    over, kills = threading.Event(), []

    def kill_on():
        while not over.wait(dice.uniform(2, 5)):
            with suppress(ProcessLookupError, TypeError):  # it is being started again
                kills.append(shop.kill("worker"))

    killer = threading.Thread(target=kill_on)
    killer.start()
    try:
        yield kills
    finally:
        over.set()
        killer.join()


def restart_database(shop):
    shop.cluster.kill()
    shop.cluster.start()


def empty_broker(shop):
    shop.broker.lose()
    shop.broker.start()


def kill_relay(shop):
    until(lambda: shop.facts["processes"]["relay"], within=20, what="a relay to kill")
    shop.kill("relay")


BLOWS = (kill_relay, restart_database, empty_broker, empty_broker, restart_database, kill_relay)


def test_whatever_dies_every_event_is_handled_once(shop, books_balance):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice, began = random.Random(seed), time.monotonic()
    number = shop.order().json()["number"]
    publisher = shop.publish("happen", EVENTS, number)
    with workers_dying(shop, dice) as kills:
        for n, blow in enumerate(BLOWS, 1):
            mark = EVENTS * n // (len(BLOWS) + 1)
            until(lambda mark=mark: effects(shop) >= mark, within=EVENTS / SLOWEST, what=f"{mark} effects")
            blow(shop)
        assert publisher.wait(EVENTS / SLOWEST) == 0
    until(
        lambda: shop.unfinished("soak.happened") + shop.unfinished("email.queued") == 0,
        within=60 + EVENTS / SLOWEST,
        what=f"the last of {EVENTS} events",
    )

    assert shop.one("SELECT count(*) FROM notifications_event WHERE name = 'soak.happened'") == EVENTS
    assert shop.one("SELECT count(*) FROM soak_effect") == EVENTS
    assert shop.one("SELECT count(DISTINCT n) FROM soak_effect") == EVENTS
    ids = {
        row[0] for row in tables.rows(shop, "SELECT message_id FROM notifications_letter WHERE once LIKE %s", "soak:%")
    }
    copies = Counter(line["message_id"] for line in shop.receipts() if line["message_id"] in ids)
    again = sum(copies.values()) - len(copies)
    # Each is a run of a letter's delivery that was cut off: only there can a letter have left twice.
    cut_off = shop.one(
        "SELECT count(*) FROM notifications_attempt a JOIN notifications_delivery d ON d.id = a.delivery_id"
        " WHERE d.handler = 'notifications.send_letter' AND a.outcome IN ('crashed', 'fenced')"
    )
    deaths = len(kills) + sum(blow is not empty_broker for blow in BLOWS)
    print(
        f"{EVENTS} events in {time.monotonic() - began:.0f} s, {len(kills)} workers killed, broker emptied twice,"
        f" PostgreSQL and relay killed twice: 0 lost, 0 effects twice; {len(ids)} letters,"
        f" {cut_off} of them cut off while they were sent, {again} raw duplicates"
    )
    assert len(ids) == len(copies) == EVENTS // LETTERS
    assert again <= deaths * THREADS
    books_balance()


def effects(shop):
    try:
        return shop.one("SELECT count(*) FROM soak_effect")
    except Exception:
        return 0


def test_each_line_keeps_its_order_through_failures_and_kills(shop):
    with workers_dying(shop, random.Random(1)) as kills:
        assert shop.publish("turn", LINES * TURNS).wait(120) == 0
        until(lambda: shop.unfinished("soak.turn") == 0, within=240, what="the last turn")

    failed = shop.one(
        "SELECT count(*) FROM notifications_attempt a JOIN notifications_delivery d ON d.id = a.delivery_id"
        " WHERE d.handler = 'tests.take_turn' AND a.outcome = 'error'"
    )
    turns = tables.rows(shop, "SELECT line, n, began, ended FROM soak_turn ORDER BY line, ended")
    inversions = overlaps = 0
    for line in range(LINES):
        mine = [turn[1:] for turn in turns if turn[0] == line]
        assert sorted(n for n, *_ in mine) == list(range(TURNS))
        inversions += sum(one[0] > other[0] for one, other in pairwise(mine))
        overlaps += sum(one[2] > other[1] for one, other in pairwise(mine))
    print(f"{len(turns)} turns, {failed} failures, {len(kills)} kills: {inversions} inversions, {overlaps} overlaps")
    assert failed > LINES * TURNS * 0.1
    assert (inversions, overlaps) == (0, 0)


def test_what_kills_its_worker_is_buried_after_three_and_the_others_are_done(shop):
    number = shop.order().json()["number"]
    before = shop.one("SELECT count(*) FROM notifications_letter WHERE state = 'sent'")
    burst = [sys.executable, "-m", "tests.broker.burst", number, str(BESIDE_POISON), "beside-poison"]
    assert shop.publish("poison", 1).wait(60) == 0
    subprocess.run(burst, cwd=CHECKOUT, env=shop.environment(), check=True, timeout=60)

    def poison():
        [row] = tables.rows(
            shop, "SELECT state, crashes FROM notifications_delivery WHERE handler = 'tests.kill_worker'"
        )
        return row

    until(lambda: poison()[0] == "dead", within=90, what="the poison to be buried")
    sent = "SELECT count(*) FROM notifications_letter WHERE state = 'sent'"
    until(lambda: shop.one(sent) >= before + BESIDE_POISON, within=60, what="the others to be done")
    assert poison() == ("dead", 3)
