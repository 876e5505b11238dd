import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from notifications.pipeline import delivery as deliveries
from notifications.pipeline import lease, locks, rescue
from notifications.pipeline.models import Attempt, Delivery, Worker
from tests.notifications.pipeline.conftest import ParcelPacked, the_one

State = Delivery.State


@pytest.fixture
def abandoned(subscribe, pack, worker):
    """A delivery that `worker` runs; nobody holds that worker's lock."""
    subscribe(ParcelPacked)(lambda event: None)
    pack()
    Delivery.objects.update(
        state=State.RUNNING, worker=worker, token=3, attempt=1, lease_until=timezone.now() + timedelta(minutes=1)
    )
    return the_one()


def test_what_a_dead_worker_was_running_is_ready_at_once(abandoned, executor, the_delivery):
    assert rescue.rescue_abandoned(but=executor.worker) == 1

    row = the_delivery()
    assert (row.state, row.crashes, row.worker, row.token) == (State.READY, 1, None, 4)
    assert row.available_at <= timezone.now()
    assert Attempt.objects.get().outcome == Attempt.Outcome.CRASHED
    assert Worker.objects.get(pk=abandoned.worker_id).stopped_at is not None


def test_a_living_worker_keeps_its_work(abandoned, executor, the_delivery):
    lock = locks.process_lock(abandoned.worker.lock_key)
    assert lock.hold()
    try:
        assert rescue.rescue_abandoned(but=executor.worker) == 0
    finally:
        lock.release()

    assert the_delivery().state == State.RUNNING


def test_a_living_worker_whose_lease_ran_out_loses_the_work(abandoned, executor, the_delivery):
    lock = locks.process_lock(abandoned.worker.lock_key)
    lock.hold()
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    try:
        assert rescue.rescue_abandoned(but=executor.worker) == 1
    finally:
        lock.release()

    assert the_delivery().state == State.READY


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite lives on one host, with one clock")
@pytest.mark.parametrize("wrong", [timedelta(minutes=10), -timedelta(minutes=10)], ids=["ahead", "behind"])
@pytest.mark.parametrize("whose", ["of the worker", "of the relay"])
def test_a_clock_that_is_wrong_on_one_host_takes_no_work_from_the_living(
    abandoned, executor, worker, monkeypatch, whose, wrong
):
    def shift():
        monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + wrong)

    lock = locks.process_lock(worker.lock_key)
    lock.hold()
    Delivery.objects.update(
        state=State.READY, worker=None, lease_until=None, available_at=timezone.now() - 2 * abs(wrong)
    )
    try:
        if whose == "of the worker":
            shift()
        claimed = deliveries.take(abandoned.pk, worker)
        monkeypatch.undo()
        if whose == "of the relay":
            shift()
        freed = rescue.rescue_abandoned(but=executor.worker)
    finally:
        lock.release()

    monkeypatch.undo()
    assert (claimed.state, freed) == (State.RUNNING, 0)
    assert (the_one().state, the_one().crashes) == (State.RUNNING, 0)


def test_a_limit_shorter_than_a_lease_has_effect(subscribe, pack, worker):
    left = []

    @subscribe(ParcelPacked, limit=timedelta(seconds=3), atomic=False)
    def hang(event):
        left.append(the_one().lease_until - timezone.now())

    pack()
    deliveries.attempt(delivery_id=the_one().pk, worker=worker)
    assert timedelta(seconds=3) < left[0] <= timedelta(seconds=5)


@pytest.mark.parametrize(
    ("limit", "gone", "left"), [(300, 0, 30), (300, 299, 3), (12, 10, 4), (12, 12.5, 0), (300, 200, 30)]
)
def test_a_lease_ends_soon_after_the_limit(limit, gone, left):
    assert lease.length(timedelta(seconds=limit), gone=timedelta(seconds=gone)) == timedelta(seconds=left)


@pytest.mark.parametrize(("minutes", "renewed"), [(4, True), (6, False)])
def test_what_runs_longer_than_its_limit_is_given_up_for_hung(abandoned, executor, minutes, renewed):
    soon = timezone.now() + timedelta(seconds=10)
    began = timezone.now() - timedelta(minutes=minutes)
    Delivery.objects.update(worker=executor.worker, started_at=began, lease_until=soon)
    executor._running.add(abandoned.pk)
    try:
        executor._beat(renew=True)
    finally:
        executor._running.clear()

    assert (the_one().lease_until > soon) is renewed


def test_a_delivery_that_keeps_killing_its_workers_is_buried(abandoned, executor, the_delivery):
    Delivery.objects.update(crashes=2)

    rescue.rescue_abandoned(but=executor.worker)

    row = the_delivery()
    assert (row.state, row.crashes) == (State.DEAD, 3)
    assert row.last_error == "It killed its worker 3 times."


def test_a_clean_stop_gives_work_back_and_burns_no_attempt(abandoned, the_delivery):
    assert rescue.give_back(abandoned.worker) == 1

    row = the_delivery()
    assert (row.state, row.attempt, row.crashes) == (State.READY, 0, 0)
    assert Attempt.objects.get().outcome == Attempt.Outcome.STOPPED


@pytest.mark.crash
def test_the_lock_of_a_killed_process_is_free(transactional_db, settings, tmp_path):
    settings.WAYBILL_DATA = tmp_path
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], env=_environment(tmp_path), stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    held = locks.is_free(4711)

    holder.send_signal(signal.SIGKILL)
    holder.wait()
    deadline = time.monotonic() + 5
    while not locks.is_free(4711) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert (held, locks.is_free(4711)) == (False, True)


HOLDER = """
import os, time, django
django.setup()
from django.conf import settings
from django.db import connection
connection.settings_dict["NAME"] = os.environ["TEST_DATABASE_NAME"]
from notifications.pipeline.locks import process_lock
lock = process_lock(4711)
assert lock.hold()
print("held", flush=True)
time.sleep(60)
"""


def _environment(data):
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "WAYBILL_DATA": str(data),
        "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
    }
