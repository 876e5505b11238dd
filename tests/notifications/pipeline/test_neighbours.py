"""Who is beside a delivery that kills its process dies with it, and is not buried for it."""

import os
import sqlite3
import subprocess
import sys
import time

import pytest
from django.utils import timezone

from notifications.pipeline import delivery as deliveries
from notifications.pipeline import rescue
from notifications.pipeline.due import ALONE, BESIDE_OTHERS, look_up
from notifications.pipeline.models import Delivery
from tests.notifications.pipeline.conftest import ParcelPacked, the_one
from tests.rig import CHECKOUT, NOT_INHERITED

INNOCENT = 3
WITHIN = 150.0  # seconds; most of them are the pauses after a second death, and starting Python on a busy machine

PUBLISH = f"""
import django
django.setup()
from django.db import transaction
from notifications.pipeline.events import publish
from tests.notifications.pipeline.neighbours.handlers import Moved
with transaction.atomic():
    for n in range({INNOCENT}):
        publish(Moved(bad=False))
    publish(Moved(bad=True))
"""


@pytest.fixture
def house(tmp_path):
    """`house(*argv)` runs Python on a shop of its own, in which such neighbours live."""
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    settings = "tests.notifications.pipeline.neighbours.settings"
    env = {**inherited, "WAYBILL_DATA": str(tmp_path), "DJANGO_SETTINGS_MODULE": settings}

    def start(*argv):
        return subprocess.Popen([sys.executable, *argv], cwd=CHECKOUT, env=env)

    return start


def states(folder):
    with sqlite3.connect(folder / "waybill.sqlite3") as database:
        found = database.execute("SELECT handler, state, crashes, last_error FROM notifications_delivery").fetchall()
    return sorted(row for row in found if row[0].startswith("tests."))


@pytest.mark.crash
def test_poison_is_buried_after_three_deaths_and_no_innocent_beside_it_is(house, tmp_path):
    assert house("-m", "django", "migrate", "--verbosity", "0").wait(120) == 0
    assert house("-c", PUBLISH).wait(60) == 0

    relay, starts, deadline = house("-m", "django", "relay"), 1, time.monotonic() + WITHIN
    try:
        while {state for _, state, _, _ in states(tmp_path)} & {"ready", "running"} and time.monotonic() < deadline:
            if relay.poll() is not None:  # as a supervisor does
                relay, starts = house("-m", "django", "relay"), starts + 1
            time.sleep(0.1)
    finally:
        relay.terminate()
        relay.wait(20)

    buried = ("tests.blow_up", "dead", 3, rescue.KILLER)
    assert states(tmp_path) == [buried, *[("tests.live", "done", 0, "")] * INNOCENT]
    assert starts == 3  # the third time it was alone, and the relay lived


@pytest.fixture
def suspect(worker, subscribe, pack):
    subscribe(ParcelPacked)(lambda event: None)
    pack()
    Delivery.objects.update(crashes=2)
    return the_one()


def test_who_was_running_at_two_deaths_is_left_to_a_process_that_runs_nothing_else(suspect, worker):
    assert suspect.pk not in [pk for pk, *_ in look_up(BESIDE_OTHERS, [], 50)]
    assert suspect.pk in [pk for pk, *_ in look_up(ALONE, [], 50)]
    assert not deliveries.attempt(delivery_id=suspect.pk, worker=worker)

    assert deliveries.attempt(delivery_id=suspect.pk, worker=worker, alone=True)
    assert (the_one().state, the_one().crashes) == ("done", 0)


def test_who_fails_on_its_own_feet_is_no_suspect_any_more(subscribe, pack, worker):
    @subscribe(ParcelPacked)
    def refuse(event):
        raise ConnectionError

    pack()
    Delivery.objects.update(crashes=1)
    deliveries.attempt(delivery_id=the_one().pk, worker=worker)

    assert (the_one().state, the_one().crashes, the_one().available_at > timezone.now()) == ("ready", 0, True)
