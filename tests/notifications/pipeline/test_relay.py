import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from notifications.pipeline import broker as brokers
from notifications.pipeline import clock, delivery, health, queues
from notifications.pipeline.broker import LOOK_EVERY, WINDOW, Broker
from notifications.pipeline.doorbell import Bell, ring
from notifications.pipeline.executor import Executor
from notifications.pipeline.models import Delivery, Event, Worker
from notifications.pipeline.relay import SAFETY_POLL, UNANSWERED_AFTER, Relay
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


# -- Beside workers ---------------------------------------------------------------------------


class StoredHints(Broker):
    """A broker that answers, and keeps what it is told."""

    def __init__(self):
        self.configured, self.error, self.depths, self.window, self.told = True, "", {}, WINDOW, []
        self.priorities = []

    def hint(self, first, *also, queue, priority):
        self.priorities.append(priority)
        self.told.append((queue, [first, *also]))
        self.depths[queue] = self.depths.get(queue, 0) + 1

    def close(self):
        pass


@pytest.fixture
def beside(transactional_db, settings, tmp_path):
    """`beside(queues="mail", slots=4)`: a relay, its thread not started, and such a worker."""
    settings.WAYBILL_DATA, settings.BROKER_URL = tmp_path, ""
    relays, workers = [], []

    def open_relay(*, queues, slots=None):
        worker = Executor(kind=Worker.Kind.WORKER, queues=queues)
        workers.append(worker)
        if slots:
            worker.note(slots=slots)
            worker.worker.save()
        relay = Relay()
        relay.broker = StoredHints()
        relays.append(relay)
        return relay

    yield open_relay
    for relay in relays:
        relay.close(grace=1)
    for worker in workers:
        worker.stop(grace=0)


def turn(relay):
    relay._rounds()
    relay._dispatch()


def test_what_no_worker_serves_the_relay_runs(beside, sorted_parcels, pack):
    relay = beside(queues="mail")
    pack()
    turn(relay)

    assert eventually(lambda: sorted_parcels == [7])
    assert relay.broker.told == []


def test_what_a_worker_serves_is_hinted_once(beside, sorted_parcels, pack):
    relay = beside(queues="mail,shipping", slots=4)
    pack()
    turn(relay)
    turn(relay)

    assert [queue for queue, _ in relay.broker.told] == ["shipping"]
    assert sorted_parcels == []


@pytest.mark.parametrize(("slots", "size"), [(4, 10), (16, 3), (None, 1)], ids=["few", "many", "of an older release"])
def test_a_hint_names_several_when_there_are_many_for_each_thread(beside, sorted_parcels, pack, slots, size):
    relay = beside(queues="shipping", slots=slots)
    for n in range(199):
        pack(parcel_id=n)
    turn(relay)

    hinted = [ids for _, ids in relay.broker.told]
    assert max(map(len, hinted)) == size
    assert sorted(pk for ids in hinted for pk in ids) == sorted(
        Delivery.objects.filter(handler="tests.sort").values_list("pk", flat=True)
    )


def test_more_workers_get_more_hints_not_shorter_ones(beside, sorted_parcels):
    relay = beside(queues="shipping", slots=64)
    stored = Event.objects.bulk_create(
        Event(name="test.parcel.packed", payload={"parcel_id": n}, correlation_id="a", actor="x") for n in range(2600)
    )
    Delivery.objects.bulk_create(Delivery(event=event, handler="tests.sort", queue="shipping") for event in stored)
    turn(relay)

    hinted = [ids for _, ids in relay.broker.told]
    assert (len(hinted), max(map(len, hinted))) == (256, 10)
    assert relay.broker.window == 512


def test_room_in_a_full_queue_is_noticed_long_before_the_next_look(settings, monkeypatch):
    settings.BROKER_URL = "memory://"
    depths, roomy = {"mail": WINDOW}, threading.Event()
    monkeypatch.setattr(brokers, "_measure", lambda connection: dict(depths))
    broker = Broker(on_room=roomy.set)
    try:
        assert eventually(lambda: broker.is_full("mail"))
        depths["mail"] = WINDOW - 1
        assert roomy.wait(LOOK_EVERY / 2)
    finally:
        broker.close()


def test_that_our_own_hints_have_filled_a_queue_is_looked_after_at_once(settings, monkeypatch):
    settings.BROKER_URL = "memory://"
    looks = []
    monkeypatch.setattr(brokers, "_measure", lambda connection: looks.append(1) or {"mail": 0})
    broker = Broker()
    try:
        assert eventually(lambda: broker.answers)
        broker.depths["mail"] = WINDOW - 1
        broker.hint(1, queue="mail")
        assert eventually(lambda: len(looks) == 2, within=LOOK_EVERY / 2)
    finally:
        broker.close()


@pytest.mark.parametrize("limit", [None, 1])
def test_what_deaf_workers_do_not_fetch_the_relay_runs(beside, sorted_parcels, pack, limit):
    queues.limit("shipping", limit)
    relay = beside(queues="shipping", slots=4)
    for n in range(30):
        pack(parcel_id=n)
    turn(relay)
    assert sorted_parcels == []

    Delivery.objects.filter(handler="tests.sort").update(available_at=timezone.now() - UNANSWERED_AFTER * 2)
    relay.broker.depths["shipping"] = 500  # hints that nobody takes
    # What the clock has set off comes first: as in a shop, the relay looks again and again.
    assert eventually(lambda: turn(relay) or len(sorted_parcels) >= 1)


def test_of_a_limited_queue_no_more_are_hinted_than_may_run(beside, sorted_parcels, pack):
    queues.limit("shipping", 2)
    relay = beside(queues="shipping", slots=4)
    for n in range(5):
        pack(parcel_id=n)
    turn(relay)

    assert len(relay.broker.told) == 2


def test_one_after_another_of_a_limited_queue_runs_without_a_poll(relay, sorted_parcels, pack):
    queues.limit("shipping", 1)
    time.sleep(SAFETY_POLL * 1.5)  # the relay has heard of it
    for n in range(20):
        pack(parcel_id=n)

    began = time.monotonic()
    assert eventually(lambda: len(sorted_parcels) == 20)
    assert time.monotonic() - began < 20 * SAFETY_POLL / 2


def test_a_database_that_refuses_every_claim_is_not_asked_without_pause(relay, sorted_parcels, pack, monkeypatch):
    tries = []

    def refuse(**_):
        tries.append(1)
        raise OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(delivery, "attempt", refuse)
    for n in range(40):
        pack(parcel_id=n)
    time.sleep(3)

    assert 0 < len(tries) <= 8 * 5


def test_what_a_stopped_worker_did_not_begin_is_hinted_anew(executor, sorted_parcels, pack):
    for n in range(3):
        pack(parcel_id=n)
    mine = Delivery.objects.filter(handler="tests.sort")
    mine.update(hinted_at=timezone.now())
    executor.stop(grace=0)

    assert executor.attempt_all(list(mine.values_list("pk", flat=True))) == 0
    assert mine.filter(hinted_at=None, state="ready", attempt=0).count() == 3
