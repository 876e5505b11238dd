"""Whoever runs the handlers is killed in the middle of a burst: everything is done soon after, and done once."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.journeys import tables
from tests.rig import CHECKOUT, until

THREADS = 4  # of the worker: as many letters may be between "accepted" and "written down" when it is killed
FULL = os.environ.get("WAYBILL_FULL") == "1"
BURST = 200
SOON = 10.0  # seconds


class Burst:
    """That many letters at one moment, and how far they are."""

    def __init__(self, shop, count):
        self.shop, self.count, self.name = shop, count, f"burst-{secrets.token_hex(4)}"
        number = shop.order(sku="STICK-SET").json()["number"]
        argv = [sys.executable, "-m", "tests.broker.burst", number, str(count), self.name]
        subprocess.run(argv, cwd=CHECKOUT, env=shop.environment(), check=True, timeout=60)

    def done(self):
        return sum(state == "done" for (state,) in self.rows("d.state"))

    def rows(self, columns):
        ran = tables.deliveries(self.shop, self.name, f"d.handler, {columns}")
        return [row[1:] for row in ran if row[0] == "notifications.send_letter"]

    def until_in_the_middle(self):
        return until(
            lambda: self.count / 10 < self.done() < self.count * 0.9, within=30, what="the middle of the burst"
        )

    def until_all_done(self, *, within):
        began = time.monotonic()
        until(lambda: self.done() == self.count, within=within, what=f"{self.count} deliveries, {self.done()} are done")
        return time.monotonic() - began

    def crashes(self):
        """Why deliveries were taken from a process that was running them, one sentence each."""
        sql = (
            "SELECT a.message FROM notifications_attempt a JOIN notifications_delivery d ON d.id = a.delivery_id"
            " JOIN notifications_event e ON e.id = d.event_id WHERE e.correlation_id = %s AND a.outcome = 'crashed'"
        )
        return [why for (why,) in tables.rows(self.shop, sql, self.name)]

    def copies(self, post):
        """How many receipts of each letter the mail server counted."""
        mine = {
            message_id
            for (message_id,) in tables.rows(
                self.shop, "SELECT message_id FROM notifications_letter WHERE correlation_id = %s", self.name
            )
        }
        return Counter(message_id for message_id in post.receipts() if message_id in mine)


def until_back(shop, name, old_pid):
    """Started again, and at work: on a busy machine there are seconds between the two."""
    pid = shop.until_restarted(name, old_pid)
    registered = "SELECT count(*) FROM notifications_worker WHERE pid = %s AND stopped_at IS NULL"
    until(lambda: tables.rows(shop, registered, pid) == [(1,)], within=60, what=f"{name} to be at work")


@pytest.mark.crash
@pytest.mark.parametrize("name", ["worker", "relay"])
def test_killed_in_the_middle_of_200_deliveries_all_are_done_and_none_twice(shop, post, name, books_balance):
    for _ in range(5 if FULL else 1):
        burst = Burst(shop, BURST)
        burst.until_in_the_middle()

        done, pid = burst.done(), shop.kill(name)
        until_back(shop, name, pid)
        took = burst.until_all_done(within=SOON)

        copies = burst.copies(post)
        again = sum(copies.values()) - len(copies)
        print(f"{name} killed at {done} of {BURST}: all done {took:.1f} s after its restart, {again} raw duplicates")
        assert len(copies) == BURST
        assert len([letter for letter in post.letters if burst.name in letter.to]) == BURST
        # One kill can strike each of the worker's threads between the server's answer and our commit.
        assert again <= (THREADS if name == "worker" else 0)
        assert {state for (state,) in burst.rows("d.state")} == {"done"}
        if name == "worker":  # its lock told that it was dead; the lease, half a minute long, was not waited for
            assert burst.crashes() and all("died while running it" in why for why in burst.crashes())
    books_balance()


@pytest.mark.crash
def test_a_clean_stop_gives_work_back_and_burns_no_attempt(shop, post):
    burst = Burst(shop, BURST)
    burst.until_in_the_middle()

    pid = shop.kill("worker", signal.SIGTERM)
    until_back(shop, "worker", pid)
    burst.until_all_done(within=SOON)

    assert set(burst.rows("d.attempt, d.crashes")) == {(1, 0)}
    assert set(burst.copies(post).values()) == {1}
