"""Small promises of the pipeline, each of which was broken once."""

import socket
import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from notifications import handlers
from notifications.models import Brake, Delivery, Event
from notifications.pipeline import deadletters, decisions, doorbell, events, renaming, retention
from notifications.pipeline.clock import ClockDay
from notifications.pipeline.doorbell import Bell
from notifications.pipeline.retries import RetryLater
from tests.notifications.pipeline.conftest import ParcelPacked
from tests.notifications.pipeline.test_retention import old

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_transaction_rings_once_however_much_it_publishes(subscribe, monkeypatch):
    subscribe(ParcelPacked)(lambda event: None)
    rung = []
    monkeypatch.setattr(doorbell, "ring", lambda: rung.append(1))
    with transaction.atomic():
        for n in range(5):
            events.publish(ParcelPacked(parcel_id=n), about="parcel:7")

    assert rung == [1]


def test_what_is_published_after_a_savepoint_was_taken_back_rings(subscribe, monkeypatch):
    rung = []
    monkeypatch.setattr(doorbell, "ring", lambda: rung.append(1))
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            events.publish(ParcelPacked(parcel_id=1), about="parcel:7")
            1 / 0  # noqa: B018
        events.publish(ParcelPacked(parcel_id=2), about="parcel:7")

    assert rung == [1]


def test_a_new_bell_takes_down_those_that_nobody_hears(settings, tmp_path):
    settings.WAYBILL_DATA = tmp_path
    folder = doorbell._folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    dead, living = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    dead.bind(str(folder / "1.bell"))
    dead.close()
    living.bind(str(folder / "2.bell"))
    bell = Bell()
    try:
        assert sorted(folder.glob("*.bell")) == sorted([folder / "2.bell", bell.path])
    finally:
        bell.close()
        living.close()
        (folder / "2.bell").unlink()


def test_forgetting_comes_back_for_more(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(handlers, "FORGOTTEN_AT_ONCE", 4)
    for _ in range(9):
        old(31)
    tries = 0
    while True:
        tries += 1
        try:
            handlers.forget_old(ClockDay(at="2026-11-30"))
            break
        except RetryLater as later:
            assert later.going_well

    assert (tries, Delivery.objects.count()) == (3, 0)


def test_what_was_discarded_overtakes_nobody(subscribe, pack, worker, deliver_due):
    seen = []
    subscribe(ParcelPacked, latest_only=True)(lambda event: seen.append(event.parcel_id))
    pack(parcel_id=1)
    pack(parcel_id=2)
    decisions.discard(
        delivery=Delivery.objects.filter(handler__startswith="tests.").latest("pk"), by="user:1", reason="no"
    )
    deliver_due()

    assert seen == [1]


def test_of_two_that_die_of_the_same_at_once_one_is_told_of(subscribe, pack):
    subscribe(ParcelPacked)(lambda event: None)
    pack(), pack()
    first, second = Delivery.objects.filter(handler__startswith="tests.").order_by("pk")
    written, both = threading.Event(), threading.Event()

    def die(row):
        Delivery.objects.filter(pk=row.pk).update(state="dead", finished_at=timezone.now(), fingerprint="same")
        deadletters.tell(row, fingerprint="same", sentence="no")

    def die_slowly():
        with transaction.atomic():
            die(first)
            written.set()
            both.wait(0.5)
        connection.close()

    thread = threading.Thread(target=die_slowly)
    thread.start()
    assert written.wait(10)
    with transaction.atomic():
        die(second)
    both.set()
    thread.join(10)

    assert Event.objects.filter(name="delivery.buried").count() == 1


@pytest.fixture
def renamed(subscribe, pack):
    """A handler of today, and three deliveries under its old name: one waits, one runs, one has a twin."""
    subscribe(ParcelPacked, was=["tests.before"])(lambda event: None)
    [today] = [name for name in events.subscriptions if name.startswith("tests.")]
    yield today
    events.aliases.pop("tests.before")


def test_what_waits_under_an_old_name_gets_the_new_one(renamed, pack, worker):
    for _ in range(3):
        pack()
    waits, runs, twin = Delivery.objects.filter(handler=renamed).order_by("pk")
    Delivery.objects.filter(pk__in=[waits.pk, runs.pk]).update(handler="tests.before")
    Delivery.objects.filter(pk=runs.pk).update(
        state="running", worker=worker, lease_until=timezone.now() + timedelta(1)
    )
    Delivery.objects.create(event=twin.event, handler="tests.before")
    Brake.objects.create(handler="tests.before", paused_at=timezone.now(), paused_by="user:1")

    assert renaming.rename_open() == 1
    assert sorted(Delivery.objects.filter(handler=renamed).values_list("pk", flat=True)) == [waits.pk, twin.pk]
    assert Brake.objects.get().handler == renamed
