import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import connection

from notifications.pipeline import clock, health
from notifications.pipeline.doorbell import Bell, ring
from notifications.pipeline.models import Delivery, Event, Worker
from notifications.pipeline.relay import Relay
from notifications.pipeline.retries import RetryLater
from tests.notifications.pipeline.conftest import ParcelPacked


@pytest.fixture
def relay(transactional_db, settings, tmp_path):
    """A relay without a broker, running in a thread."""
    settings.WAYBILL_DATA, settings.BROKER_URL = tmp_path, ""
    made = Relay()

    def run():
        made.run()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield made
    made.stop()
    thread.join(10)
    made.close(grace=1)


def eventually(question, within=10.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.02)
    return False


def test_without_a_broker_the_relay_runs_the_handlers(subscribe, pack, relay):
    threads = []
    subscribe(ParcelPacked)(lambda event: threads.append(threading.current_thread().name))

    for _ in range(20):
        pack()

    assert eventually(lambda: Delivery.objects.filter(state="done", handler__startswith="tests.").count() == 20)
    assert len(threads) == 20
    assert all(name.startswith("slot") for name in threads)


def test_the_relay_comes_back_for_what_was_put_off(subscribe, pack, relay):
    tries = []

    @subscribe(ParcelPacked)
    def later(event):
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise RetryLater(0.5)

    pack()

    assert eventually(lambda: Delivery.objects.filter(state="done", handler__startswith="tests.").exists())
    assert 0.5 <= tries[1] - tries[0] < 1.5


def test_staff_read_who_runs_the_handlers(relay):
    assert eventually(lambda: health.pipeline_health().mode == "relay")

    now = health.pipeline_health()
    assert (now.relay_alive, now.broker) == (True, "none")
    assert now.warnings == ["No broker is configured: the relay runs the handlers itself."]


def test_staff_read_that_no_relay_runs(transactional_db):
    warnings = health.pipeline_health().warnings

    assert warnings[0].startswith("No relay is running")


def test_a_stopped_relay_says_goodbye(transactional_db, settings, tmp_path):
    settings.WAYBILL_DATA, settings.BROKER_URL = tmp_path, ""
    relay = Relay()

    relay.close(grace=1)

    assert Worker.objects.get(pk=relay.executor.worker.pk).stopped_at is not None


def test_each_minute_hour_and_day_is_published_once(transactional_db):
    now = datetime(2026, 11, 22, 19, 30, 15, tzinfo=UTC)
    for _ in range(3):
        clock.tick(now)

    assert sorted(Event.objects.values_list("name", "payload__at")) == [
        ("clock.day", "2026-11-22T00:00:00+00:00"),
        ("clock.hour", "2026-11-22T19:00:00+00:00"),
        ("clock.minute", "2026-11-22T19:30:00+00:00"),
    ]


def test_the_bell_wakes_its_listener(settings, tmp_path, transactional_db):
    settings.WAYBILL_DATA = tmp_path
    bell = Bell()
    try:
        ring()
        began = time.monotonic()
        bell.wait(5)
    finally:
        bell.close()

    assert time.monotonic() - began < 1


def test_ringing_where_nobody_listens_is_harmless(settings, tmp_path, transactional_db):
    settings.WAYBILL_DATA = tmp_path

    assert ring() is None
