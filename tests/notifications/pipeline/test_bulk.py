"""One decision about many dead letters: slowly, watched, stopped when a person or the first try says so."""

import pytest
from django.utils import timezone

from notifications.models import BulkDecision, Delivery
from notifications.pipeline import bulk, decisions
from notifications.pipeline.decisions import NotWaiting
from notifications.pipeline.retries import Permanent
from tests.notifications.pipeline.conftest import ParcelPacked

Action, State = BulkDecision.Action, BulkDecision.State
pytestmark = pytest.mark.django_db(transaction=True)
DEAD = 25


@pytest.fixture
def ill():
    """Whether the handler fails."""
    return {"yes": True}


@pytest.fixture
def dead(subscribe, pack, deliver_due, ill):
    """25 deliveries that died of the same."""

    @subscribe(ParcelPacked)
    def work(event):
        if ill["yes"]:
            raise Permanent("the depot is closed")

    for _ in range(DEAD):
        pack()
    deliver_due()
    assert Delivery.objects.dead().count() == DEAD
    return Delivery.objects.dead().first()


@pytest.fixture
def second(deliver_due):
    """What happens in the next second."""

    def pass_it():
        Delivery.objects.filter(state="ready").update(available_at=timezone.now())
        deliver_due()

    return pass_it


def group(dead, action=Action.RETRY, **facts):
    facts = {"by": "user:1", "canary": False} | facts
    return bulk.decide(action=action, handler=dead.handler, fingerprint=dead.fingerprint, **facts)


def test_all_of_a_group_are_retried_ten_a_second(dead, ill, second):
    ill["yes"] = False
    job = group(dead)
    done = []
    for _ in range(3):
        second()
        job.refresh_from_db()
        done.append(job.done)

    assert (job.total, done, job.state) == (DEAD, [10, 20, 25], State.DONE)
    assert Delivery.objects.dead().count() == 0
    assert not Delivery.objects.exclude(last_error="").exists()


def test_what_dies_again_is_not_retried_for_ever(dead, second):
    job = group(dead)
    for _ in range(4):
        second()

    job.refresh_from_db()
    assert (job.done, job.state, Delivery.objects.dead().count()) == (DEAD, State.DONE, DEAD)
    assert {len(row.resolution) for row in Delivery.objects.dead()} == {1}


def test_of_other_groups_nothing_is_touched(dead, second):
    Delivery.objects.dead().filter(pk__gt=dead.pk + 20).update(fingerprint="another")
    left = Delivery.objects.dead().filter(fingerprint="another").count()
    group(dead, Action.DISCARD, reason="the depot is gone")
    for _ in range(3):
        second()

    assert Delivery.objects.dead().count() == left > 0
    assert Delivery.objects.filter(state="cancelled").count() == DEAD - left


def test_one_is_tried_first_and_the_others_after_it_has_worked(dead, ill, second):
    ill["yes"] = False
    job = group(dead, canary=True)
    second()
    assert Delivery.objects.dead().count() == DEAD - 1
    for _ in range(4):
        second()

    job.refresh_from_db()
    assert (job.done, job.state, Delivery.objects.dead().count()) == (DEAD, State.DONE, 0)


def test_when_the_first_dies_again_the_others_are_left_alone(dead, second):
    job = group(dead, canary=True)
    for _ in range(3):
        second()

    job.refresh_from_db()
    assert (job.done, job.state, job.note) == (1, State.FAILED, "the one that was tried first died again")
    assert Delivery.objects.filter(resolution__isnull=False).count() == 1


def test_a_person_can_stop_it(dead, ill, second):
    ill["yes"] = False
    job = group(dead)
    second()
    assert bulk.stop(job, by="user:2")
    second()

    job.refresh_from_db()
    assert (job.done, job.state, job.note) == (10, State.STOPPED, "stopped by user:2")
    assert not bulk.stop(job, by="user:3")


def test_a_worker_killed_in_the_middle_leaves_nothing_out_and_does_nothing_twice(dead, ill, second, monkeypatch):
    ill["yes"] = False
    job, retry, calls = group(dead), decisions.retry, []

    def dies_at_the_fifth(**asked):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt  # what no handler catches
        retry(**asked)

    monkeypatch.setattr(decisions, "retry", dies_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        bulk.carry_on(job.pk)
    second()
    job.refresh_from_db()
    assert job.done == 4 + 10
    for _ in range(3):
        second()

    job.refresh_from_db()
    assert (job.done, job.state, Delivery.objects.dead().count()) == (DEAD, State.DONE, 0)
    assert {len(row.resolution) for row in Delivery.objects.exclude(resolution=None)} == {1}


def test_a_discard_of_many_is_taken_back_by_one_button(dead, ill, second):
    alone = Delivery.objects.dead().last()
    decisions.discard(delivery=alone, by="user:2", reason="by hand")
    job = group(dead, Action.DISCARD, reason="the depot is gone")
    for _ in range(4):
        second()
    assert not Delivery.objects.dead().exists()
    job.refresh_from_db()

    back = bulk.undo(job, by="user:1")
    for _ in range(4):
        second()

    back.refresh_from_db()
    assert (back.state, Delivery.objects.dead().count()) == (State.DONE, DEAD - 1)
    assert Delivery.objects.get(pk=alone.pk).state == "cancelled"
    with pytest.raises(NotWaiting, match="taken back already"):
        bulk.undo(job, by="user:1")


def test_only_a_discard_that_is_over_can_be_taken_back(dead, ill, second):
    running = group(dead, Action.DISCARD, reason="x")
    with pytest.raises(NotWaiting, match="cannot be taken back"):
        bulk.undo(running, by="user:1")
    bulk.stop(running, by="user:1")
    retried = group(dead)
    bulk.stop(retried, by="user:1")
    retried.refresh_from_db()

    with pytest.raises(NotWaiting, match="cannot be taken back"):
        bulk.undo(retried, by="user:1")
