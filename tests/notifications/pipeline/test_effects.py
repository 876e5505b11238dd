"""Calls to the outside world: once for each delivery, and honest where nobody can know."""

import pytest
from django.utils import timezone

from notifications.models import Delivery, Effect
from notifications.pipeline import decisions, rescue
from notifications.pipeline import delivery as deliveries
from notifications.pipeline.effects import once
from notifications.pipeline.retries import RetryLater
from tests.notifications.pipeline.conftest import ParcelPacked, the_one

pytestmark = pytest.mark.django_db(transaction=True)


class Carrier:
    """The other side: what it was asked, and how it behaves."""

    def __init__(self):
        self.asked, self.then = [], []

    def label(self, key):
        self.asked.append(key)
        if self.then:
            raise self.then.pop(0)
        return {"label": len(self.asked)}


class Killed(BaseException):
    """What no handler catches: the process is gone."""


@pytest.fixture
def carrier():
    return Carrier()


@pytest.fixture
def ship(subscribe, pack, carrier, worker):
    """Let the handler run once more; `repeatable` and what comes after the call can be chosen."""
    after, labels = [], []

    def prepare(*, repeatable=True, then=()):
        @subscribe(ParcelPacked, atomic=False)
        def ship(event):
            labels.append(once("label", carrier.label, repeatable=repeatable))
            if after:
                raise after.pop(0)

        after.extend(then)
        pack()

        def run():
            Delivery.objects.filter(state="ready").update(available_at=timezone.now())
            deliveries.attempt(delivery_id=the_one().pk, worker=worker)
            return the_one()

        run.labels = labels
        return run

    return prepare


def die_in_the_middle(run, worker):
    with pytest.raises(Killed):
        run()
    Delivery.objects.filter(state="running").update(lease_until=timezone.now())
    rescue.rescue_abandoned(but=worker)


def test_what_was_done_is_not_done_again_when_the_handler_runs_again(ship, carrier):
    run = ship(then=[ValueError("later, something else failed")])
    assert run().state == "ready"
    assert run().state == "done"

    assert run.labels == [{"label": 1}] * 2
    assert carrier.asked == [f"{the_one().uid}:label"]


def test_a_call_that_can_be_repeated_is_repeated_under_its_key(ship, carrier, worker):
    run = ship()
    carrier.then = [Killed()]
    die_in_the_middle(run, worker)
    assert run().state == "done"

    assert carrier.asked == [f"{the_one().uid}:label"] * 2


def test_a_call_that_cannot_is_left_to_a_person(ship, carrier, worker):
    run = ship(repeatable=False)
    carrier.then = [Killed()]
    die_in_the_middle(run, worker)
    row = run()
    assert (row.state, len(carrier.asked), Effect.objects.get().state) == ("dead", 1, "unknown")
    assert row.last_error == "“label” may have happened: its worker died meanwhile. Find out; retry does it again."

    decisions.retry(delivery=row, by="user:1")
    assert run().state == "done"
    assert len(carrier.asked) == 2


def test_an_error_in_the_middle_leaves_it_open_too(ship, carrier):
    run = ship(repeatable=False)
    carrier.then = [TimeoutError("no answer")]

    assert run().last_error.startswith("“label” may have happened: TimeoutError: no answer.")


def test_what_surely_did_not_happen_is_tried_again(ship, carrier):
    run = ship(repeatable=False)
    carrier.then = [RetryLater(5, "closed on Sundays")]
    assert (run().state, Effect.objects.get().state) == ("ready", "planned")

    assert run().state == "done"


def test_inside_a_transaction_it_is_refused(subscribe, pack, worker):
    @subscribe(ParcelPacked)
    def ship(event):
        once("label", lambda key: None)

    pack()
    deliveries.attempt(delivery_id=the_one().pk, worker=worker)

    assert "subscribe the handler with atomic=False" in the_one().last_error
    assert not Effect.objects.exists()


def test_outside_a_handler_it_is_refused():
    with pytest.raises(RuntimeError, match="for handlers"):
        once("label", lambda key: None)
