"""What is forgotten, and what never is."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from notifications.models import Attempt, Delivery, Event, Worker
from notifications.pipeline import retention

pytestmark = pytest.mark.django_db


def old(days, state="done", name="order.paid", **facts):
    at = timezone.now() - timedelta(days=days)
    event = Event.objects.create(
        name=name, subject="order:1", payload={}, correlation_id="a", actor="x", occurred_at=at
    )
    ended = None if state == "ready" else at
    return Delivery.objects.create(event=event, handler="orders.x", state=state, finished_at=ended, **facts)


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_what_ended_a_month_ago_is_forgotten_with_its_tries(state):
    row, young = old(31, state), old(29, state)
    Attempt.objects.create(delivery=row, n=1, token=1, outcome="error")

    assert retention.prune() == {"deliveries": 1, "events": 0, "workers": 0}
    assert list(Delivery.objects.all()) == [young]
    assert Attempt.objects.count() == 0
    assert Event.objects.count() == 2  # a fact is never forgotten


@pytest.mark.parametrize("state", ["dead", "ready"])
def test_what_somebody_may_still_want_stays(state):
    old(400, state)

    retention.prune()

    assert Delivery.objects.count() == 1


def test_what_the_clock_said_goes_after_two_days_once_all_have_heard_it():
    old(3, name="clock.minute"), old(1, name="clock.minute"), old(3, "dead", name="clock.minute")

    assert retention.prune() == {"deliveries": 1, "events": 1, "workers": 0}
    assert Delivery.objects.count() == Event.objects.count() == 2


def test_a_worker_of_long_ago_goes_when_nothing_speaks_of_it_any_more():
    then = timezone.now() - timedelta(days=31)
    busy, _ = (Worker.objects.create(kind="worker", host="here", pid=n, lock_key=n, stopped_at=then) for n in (1, 2))
    Worker.objects.create(kind="worker", host="here", pid=3, lock_key=3)
    old(1, worker=busy)

    assert retention.prune()["workers"] == 1
    assert sorted(Worker.objects.values_list("pid", flat=True)) == [1, 3]


def test_many_go_in_small_batches(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 10)
    for _ in range(25):
        old(31)
    out = StringIO()
    call_command("prune", "--json", stdout=out)

    assert json.loads(out.getvalue())["deliveries"] == 25
    assert not Delivery.objects.exists()
