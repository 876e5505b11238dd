"""The plugin for tests of handlers: it runs what the shop runs, and what is to go wrong goes wrong as it would."""

import pytest

from notifications.models import Delivery, Event
from notifications.pipeline import brakes
from notifications.pipeline.effects import once
from notifications.pipeline.retries import Permanent
from notifications.testing import FailedOnPurpose
from tests.notifications.pipeline.conftest import ParcelPacked


@pytest.fixture
def seen(subscribe):
    """What a handler has read."""
    seen = []

    @subscribe(ParcelPacked)
    def weigh(event):
        seen.append(event.parcel_id)

    return seen


def test_facts_are_found_by_their_kind_and_values(events, pack):
    pack(parcel_id=1), pack(parcel_id=2, note="fragile")

    assert [event.parcel_id for event in events.published(ParcelPacked)] == [1, 2]
    assert events.published(ParcelPacked, note="fragile") == [ParcelPacked(parcel_id=2, note="fragile")]
    assert events.published(ParcelPacked, parcel_id=3) == []


def test_a_seed_is_an_order_and_the_same_seed_the_same(seen, pack, deliver_due):
    orders = []
    for seed in (None, 1, 1, 2):
        for n in range(8):
            pack(parcel_id=n)
        assert deliver_due(seed=seed) == 8
        orders.append(tuple(seen))
        seen.clear()

    assert orders[0] == tuple(range(8))
    assert orders[1] == orders[2]
    assert len(set(orders)) == 3


def test_tries_fail_as_often_as_they_were_told_to(seen, pack, deliver_due, pass_time):
    pack(parcel_id=1)
    assert deliver_due(fail={"tests.weigh": 2}) == 1
    pass_time(minutes=1)
    assert deliver_due() == 1
    assert (seen, Delivery.objects.get().last_error.startswith(FailedOnPurpose.__name__)) == ([], True)
    pass_time(minutes=1)
    deliver_due()

    assert (seen, Delivery.objects.get().state) == ([1], "done")


def test_a_worker_that_dies_takes_the_rows_of_an_atomic_handler_with_it(subscribe, pack, deliver_due):
    @subscribe(ParcelPacked)
    def write(event):
        Event.objects.create(name="test.written", subject="", payload={}, correlation_id="1", actor="test")

    pack()

    assert deliver_due(die=1.0) == 2
    assert Event.objects.filter(name="test.written").count() == 1
    assert (Delivery.objects.get().state, Delivery.objects.get().crashes) == ("done", 0)


def test_what_was_called_outside_is_called_again_unless_it_is_kept_as_an_effect(subscribe, pack, deliver_due):
    calls = []

    @subscribe(ParcelPacked, atomic=False)
    def careless(event):
        calls.append("careless")

    @subscribe(ParcelPacked, atomic=False)
    def careful(event):
        once("label", lambda key: calls.append("careful") or {})

    pack()
    deliver_due(die=1.0)

    assert sorted(calls) == ["careful", "careless", "careless"]


def test_one_handler_runs_alone_on_one_event(subscribe, seen, deliver_due, run_handler):
    @subscribe(ParcelPacked)
    def listen(event):
        if event.note == "bomb":
            raise Permanent("it ticks")

    well = run_handler(listen, ParcelPacked(parcel_id=5), about="parcel:5")
    badly = run_handler(listen, ParcelPacked(parcel_id=6, note="bomb"))
    deliver_due()

    assert seen == []
    assert (well.state, well.event.subject) == ("done", "parcel:5")
    assert (badly.state, badly.last_error) == ("dead", "it ticks")


def test_a_handler_that_is_not_there_cannot_be_told_to_fail(deliver_due):
    with pytest.raises(AssertionError, match="there is no handler"):
        deliver_due(fail={"tests.nobody": 1})


def test_a_worker_that_dies_while_its_handler_rests_holds_nobody_up(seen, pack, deliver_due, pass_time):
    for n in range(8):
        pack(parcel_id=n)
    deliver_due(fail={"tests.weigh": 5})
    pass_time(minutes=1)
    deliver_due(die=1.0)
    pass_time(minutes=1)
    deliver_due(die=1.0)

    assert sorted(set(seen)) == list(range(8))


def test_one_handler_alone_says_that_it_is_held_back(subscribe, run_handler):
    @subscribe(ParcelPacked)
    def listen(event):
        pass

    brakes.pause("tests.listen", by="ada")
    with pytest.raises(AssertionError, match="is held back"):
        run_handler(listen, ParcelPacked(parcel_id=5))
