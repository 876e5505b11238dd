"""Handlers that are held back: by a person, or because somebody else's server is away."""

from datetime import timedelta

import pytest
from django.db.models import Sum
from django.utils import timezone

from notifications.models import Brake, Delivery
from notifications.pipeline import brakes, decisions
from notifications.pipeline import delivery as deliveries
from notifications.pipeline.effects import MayHaveHappened
from notifications.pipeline.retries import Permanent, RetryLater
from tests.notifications.pipeline.conftest import ParcelPacked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def weather():
    """What the handler raises, and how often it was called."""
    return {"raise": None, "calls": 0}


@pytest.fixture
def handler(subscribe, weather):
    @subscribe(ParcelPacked, atomic=False)
    def post(event):
        weather["calls"] += 1
        if weather["raise"] is not None:
            raise weather["raise"](event)

    return "tests.post"


def waiting():
    return Delivery.objects.filter(state="ready", handler="tests.post")


@pytest.fixture
def minute(deliver_due):
    """The next minute: all that waits may be tried, what was tried last comes last, and every rest is over."""

    def pass_it():
        for attempt in Delivery.objects.filter(state="ready").values_list("attempt", flat=True).distinct():
            due = timezone.now() - timedelta(seconds=20 - attempt)
            Delivery.objects.filter(state="ready", attempt=attempt).update(available_at=due)
        Brake.objects.exclude(resting_until=None).update(resting_until=timezone.now())
        deliver_due()

    return pass_it


def closed(event):
    return ConnectionError(f"the depot does not answer about {event.parcel_id}")


def test_an_outage_burns_a_handful_of_tries_and_ends_by_itself(handler, weather, pack, minute):
    weather["raise"] = closed
    for n in range(200):
        pack(parcel_id=n)
    for _ in range(10):
        minute()

    assert weather["calls"] == brakes.TRIPS_AT + 9
    assert waiting().aggregate(tries=Sum("attempt"))["tries"] == brakes.TRIPS_AT + 9

    weather["raise"] = None
    minute()
    minute()
    assert waiting().count() == 0
    assert Brake.objects.get().resting_until is None


def test_a_server_that_is_away_burns_no_try_at_all(handler, weather, pack, minute):
    weather["raise"] = lambda event: RetryLater(5, "away", outage=True)
    for n in range(50):
        pack(parcel_id=n)
    for _ in range(5):
        minute()

    assert weather["calls"] == brakes.TRIPS_AT + 4
    assert waiting().aggregate(tries=Sum("attempt"))["tries"] == 0


def test_a_rest_grows_to_a_quarter_of_a_minute():
    rests = [brakes.rest(brakes.TRIPS_AT + n).total_seconds() for n in range(6)]

    assert rests == [5, 10, 15, 15, 15, 15]


def test_one_delivery_that_keeps_failing_holds_nobody_back(handler, weather, pack, minute):
    weather["raise"] = closed
    pack(parcel_id=1)
    for _ in range(8):
        minute()

    assert Brake.objects.get().resting_until is None


@pytest.mark.parametrize(
    "fails",
    [
        lambda event: ValueError(f"of its own kind: {chr(65 + event.parcel_id)}"),
        lambda event: Permanent("this parcel, and no other"),
        lambda event: RetryLater(5, "not yet"),
    ],
    ids=["each in its own way", "for good", "for a while"],
)
def test_what_is_wrong_with_deliveries_says_nothing_of_their_handler(handler, weather, pack, minute, fails):
    weather["raise"] = fails
    for n in range(12):
        pack(parcel_id=n)
    minute()

    assert weather["calls"] == 12


def test_calls_that_may_have_happened_are_an_outage_too(handler, weather, pack, minute):
    weather["raise"] = lambda event: MayHaveHappened("“label” may have happened")
    for n in range(12):
        pack(parcel_id=n)
    minute()

    assert (weather["calls"], waiting().count()) == (brakes.TRIPS_AT, 12 - brakes.TRIPS_AT)


def test_a_handler_that_is_paused_runs_nothing_until_it_is_resumed(handler, weather, pack, minute, worker):
    pack()
    brakes.pause(handler, by="user:1", reason="the depot moves")
    minute()
    hinted = deliveries.attempt(delivery_id=waiting().get().pk, worker=worker)
    assert (hinted, weather["calls"]) == (False, 0)

    assert brakes.resume(handler)
    minute()
    assert weather["calls"] == 1
    assert not brakes.resume(handler)


def test_of_many_at_once_one_is_the_canary(handler, weather, pack, worker):
    weather["raise"] = closed
    for n in range(brakes.TRIPS_AT + 3):
        pack(parcel_id=n)
    rows = list(waiting().order_by("pk"))
    ran = [deliveries.attempt(delivery_id=row.pk, worker=worker) for row in rows[:-2]]
    assert ran == [True] * brakes.TRIPS_AT + [False]

    Brake.objects.update(resting_until=timezone.now())
    ran = [deliveries.attempt(delivery_id=row.pk, worker=worker) for row in rows[-3:]]

    assert ran == [True, False, False]
    assert Brake.objects.get().resting_until > timezone.now()


def test_a_person_who_retries_need_not_wait_for_the_rest_to_end(handler, weather, pack, minute, deliver_due):
    weather["raise"] = closed
    for n in range(brakes.TRIPS_AT + 3):
        pack(parcel_id=n)
    minute()
    weather["raise"] = None

    decisions.retry(delivery=waiting().order_by("pk").last(), by="user:1")
    deliver_due()

    assert waiting().filter(attempt=0).count() == 0
    assert Delivery.objects.filter(state="done", handler=handler).count() == 3


def test_other_handlers_go_on(handler, weather, subscribe, pack, minute):
    others = []
    subscribe(ParcelPacked)(lambda event: others.append(event.parcel_id))
    weather["raise"] = closed
    for n in range(12):
        pack(parcel_id=n)
    minute()

    assert (weather["calls"], len(others)) == (brakes.TRIPS_AT, 12)
