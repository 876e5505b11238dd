import pytest
from django.db import transaction

from notifications.pipeline import events
from notifications.pipeline.executor import Executor
from notifications.pipeline.models import Delivery, Worker
from notifications.pipeline.signals import published


class ParcelPacked(events.DomainEvent, name="test.parcel.packed"):
    """A fact for tests."""

    parcel_id: int
    note: str = ""
    tags: tuple[str, ...] = ()
    weight: int | None = None


@pytest.fixture
def subscribe():
    """`subscribe`, undone after the test."""
    before = set(events.subscriptions)
    yield events.subscribe
    for handler in set(events.subscriptions) - before:
        subscription = events.subscriptions.pop(handler)
        for event in subscription.events:
            published.disconnect(sender=event, dispatch_uid=handler)


@pytest.fixture
def pack():
    """Publish one ParcelPacked in a transaction of its own; returns its Event row."""

    def publish_one(**facts):
        with transaction.atomic():
            return events.publish(ParcelPacked(**{"parcel_id": 7} | facts), about="parcel:7")

    return publish_one


@pytest.fixture
def worker(transactional_db):
    return Worker.objects.create(kind=Worker.Kind.WORKER, host="here", pid=1, lock_key=1)


@pytest.fixture
def executor(transactional_db, settings, tmp_path):
    settings.WAYBILL_DATA = tmp_path
    made = Executor(kind=Worker.Kind.RELAY)
    yield made
    made.stop(grace=0)


def the_one():
    """The one delivery of a test's own handler, fresh from the database."""
    return Delivery.objects.exclude(handler__startswith="notifications.").get()


@pytest.fixture
def the_delivery():
    return the_one


@pytest.fixture
def sorted_parcels(subscribe):
    """The ids that a handler in the queue "shipping" has heard of."""
    seen = []

    @subscribe(ParcelPacked, queue="shipping")
    def sort(event):
        seen.append(event.parcel_id)

    return seen
