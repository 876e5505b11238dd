import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from notifications import correlation
from notifications.pipeline import decisions
from notifications.pipeline import delivery as deliveries
from notifications.pipeline.events import DomainEvent, publish
from notifications.pipeline.models import Attempt, Delivery, Event, Queue, Worker
from notifications.pipeline.retries import Permanent, Retry, RetryLater
from tests.notifications.pipeline.conftest import ParcelPacked, the_one

State = Delivery.State


@pytest.fixture
def run(worker):
    """Attempt the one delivery there is, whenever it is due; returns it fresh."""

    def attempt_it():
        Delivery.objects.update(available_at=timezone.now())
        deliveries.attempt(delivery_id=the_one().pk, worker=worker)
        return the_one()

    return attempt_it


def test_a_handler_gets_its_event_under_the_events_own_id(subscribe, pack, run):
    seen = []

    @subscribe(ParcelPacked)
    def look(event):
        seen.append((event.parcel_id, correlation.correlation_id(), correlation.actor()))

    record = pack()
    row = run()

    assert seen == [(7, record.correlation_id, "tests.look")]
    assert (row.state, row.attempt, row.last_error) == (State.DONE, 1, "")


def test_a_delivery_that_is_not_due_is_left_alone(subscribe, pack, worker, the_delivery):
    subscribe(ParcelPacked, after=timedelta(hours=1))(lambda event: None)
    pack()

    assert deliveries.attempt(delivery_id=the_delivery().pk, worker=worker) is False
    assert the_delivery().state == State.READY


def test_of_many_who_want_a_delivery_one_gets_it(subscribe, pack, worker, the_delivery):
    ran = []
    subscribe(ParcelPacked)(lambda event: ran.append(1))
    pack()
    row = the_delivery()
    start = threading.Barrier(8)

    def try_it():
        start.wait()
        deliveries.attempt(delivery_id=row.pk, worker=worker)
        connection.close()

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(ran), the_delivery().state) == (1, State.DONE)


def test_a_failure_undoes_the_handlers_rows_and_waits_for_its_next_try(subscribe, pack, run):
    @subscribe(ParcelPacked)
    def fail(event):
        Queue.objects.create(name="half done")
        raise ValueError("no tape left")

    pack()
    row = run()

    failed = Attempt.objects.get()
    assert not Queue.objects.filter(name="half done").exists()
    assert (row.state, row.attempt, row.last_error) == (State.READY, 1, "ValueError: no tape left")
    assert 2 < (row.available_at - timezone.now()).total_seconds() <= 5
    assert (failed.outcome, failed.error_class, failed.message) == ("error", "ValueError", "no tape left")
    assert "in fail" in failed.traceback


def test_the_last_failure_buries_the_delivery(subscribe, pack, run):
    @subscribe(ParcelPacked)
    def fail(event):
        raise ValueError("no tape left")

    pack()
    Delivery.objects.update(max_attempts=2)

    assert run().state == State.READY
    assert run().state == State.DEAD
    assert [attempt.n for attempt in Attempt.objects.order_by("n")] == [1, 2]


def test_a_permanent_failure_is_buried_at_once(subscribe, pack, run):
    @subscribe(ParcelPacked)
    def refuse(event):
        raise Permanent("the address does not exist")

    pack()
    row = run()

    assert (row.state, row.attempt, row.last_error) == (State.DEAD, 1, "the address does not exist")


def test_retry_later_burns_no_attempt(subscribe, pack, run):
    @subscribe(ParcelPacked)
    def wait(event):
        raise RetryLater(90, "closed for lunch")

    pack()
    row = run()

    assert (row.state, row.attempt, row.last_error) == (State.READY, 0, "closed for lunch")
    assert 85 < (row.available_at - timezone.now()).total_seconds() <= 90


def test_a_run_that_was_given_up_for_dead_changes_nothing(subscribe, pack, run):
    @subscribe(ParcelPacked)
    def slow(event):
        Queue.objects.create(name="a zombie's work")
        # What a rescue does, seen from inside the handler's own transaction.
        Delivery.objects.update(token=99)

    pack()
    row = run()

    assert not Queue.objects.filter(name="a zombie's work").exists()
    assert [attempt.outcome for attempt in Attempt.objects.all()] == ["fenced"]
    assert row.state == State.RUNNING  # as the rescuer left it: ours to touch no longer


def test_an_unfenced_completion_would_be_noticed(subscribe, pack, worker, the_delivery):
    """Outside a transaction too, a stale token completes nothing."""

    @subscribe(ParcelPacked, atomic=False)
    def rescued_meanwhile(event):
        Delivery.objects.update(token=99, state=State.READY, worker=None)

    pack()
    deliveries.attempt(delivery_id=the_delivery().pk, worker=worker)

    assert the_delivery().state == State.READY
    assert Attempt.objects.get().outcome == Attempt.Outcome.FENCED


def test_a_handler_that_was_renamed_does_what_waits_under_its_old_name(subscribe, pack, run):
    seen = []
    subscribe(ParcelPacked, was=("tests.before",))(lambda event: seen.append(event.parcel_id))
    pack()
    Delivery.objects.update(handler="tests.before")

    assert run().state == State.DONE
    assert seen == [7]


class ParcelWeighed(DomainEvent, name="test.parcel.weighed", version=3):
    """Its weight was in grams as "weight", then as "grams", and is in milligrams now."""

    milligrams: int

    @classmethod
    def upcast(cls, payload, version):
        grams = payload["weight"] if version == 1 else payload["grams"]
        return {"milligrams": grams * 1000}


@pytest.mark.parametrize(("version", "payload"), [(1, {"weight": 5}), (2, {"grams": 5}), (3, {"milligrams": 5000})])
def test_an_event_of_an_older_shape_is_read_as_one_of_today(subscribe, run, version, payload):
    seen = []
    subscribe(ParcelWeighed)(lambda event: seen.append(event.milligrams))
    with transaction.atomic():
        publish(ParcelWeighed(milligrams=1), about="parcel:7")
    Event.objects.update(version=version, payload=payload)

    assert run().state == State.DONE
    assert seen == [5000]


def test_a_correction_begins_with_todays_shape_and_is_read_in_its_own_version(subscribe, run, worker):
    seen = []

    @subscribe(ParcelWeighed)
    def weigh(event):
        seen.append(event.milligrams)
        if event.milligrams == 5000:
            raise Permanent("too heavy")

    with transaction.atomic():
        publish(ParcelWeighed(milligrams=1), about="parcel:7")
    Event.objects.update(version=1, payload={"weight": 5})
    row = run()
    assert decisions.readable(row) == {"milligrams": 5000}
    decisions.correct(delivery=row, payload={"milligrams": 4000}, by="ada")
    Delivery.objects.filter(pk=row.pk).update(corrected={"version": 4, "payload": {"milligrams": 4000}})
    assert "version 4 is unknown" in run().last_error
    Delivery.objects.filter(pk=row.pk).update(
        corrected={"version": 3, "payload": {"milligrams": 4000}}, available_at=timezone.now()
    )

    assert (run().state, seen) == (State.DONE, [5000, 4000])
    assert Delivery.objects.get(pk=row.pk).resolution[0]["reason"] == "milligrams: 5000 became 4000"


@pytest.mark.parametrize("tags", [(1,), ("a", None), (("a",),), ({"a": 1},), (1e400,)])
def test_what_a_tuple_holds_is_checked_too(tags):
    with pytest.raises(TypeError, match="tags must hold str only"):
        ParcelPacked(parcel_id=1, tags=tags)


def test_a_handler_this_release_does_not_have_waits_and_says_so(subscribe, pack, run):
    subscribe(ParcelPacked)(lambda event: None)
    pack()
    Delivery.objects.update(handler="gone.with_the_release")

    row = run()

    assert (row.state, row.attempt) == (State.READY, 0)
    assert "no handler named gone.with_the_release" in row.last_error


def test_an_event_of_a_newer_release_waits(subscribe, pack, run):
    subscribe(ParcelPacked)(lambda event: None)
    pack()
    Event.objects.update(version=2)

    row = run()

    assert (row.state, row.attempt) == (State.READY, 0)
    assert "version 2 is unknown" in row.last_error


def test_a_payload_that_does_not_fit_is_buried(subscribe, pack, run):
    subscribe(ParcelPacked)(lambda event: None)
    pack()
    Event.objects.update(payload={"parcel_id": "seven"})

    assert run().state == State.DEAD


def test_a_dead_delivery_can_be_retried_and_says_by_whom(subscribe, pack, run):
    broken = [True]

    @subscribe(ParcelPacked)
    def sometimes(event):
        if broken[0]:
            raise Permanent("broken")

    pack()
    dead = run()
    broken.clear()
    broken.append(False)
    decisions.retry(delivery=dead, by="user:1")
    row = run()

    assert row.state == State.DONE
    assert [(note["action"], note["by"]) for note in row.resolution] == [("retry", "user:1")]


def test_of_two_who_decide_about_a_delivery_the_second_is_told(subscribe, pack, run):
    @subscribe(ParcelPacked)
    def refuse(event):
        raise Permanent("broken")

    pack()
    seen_by_both = run()
    decisions.discard(delivery=seen_by_both, by="user:1", reason="duplicate")

    with pytest.raises(decisions.NotWaiting):
        decisions.retry(delivery=seen_by_both, by="user:2")

    row = the_one()
    assert (row.state, row.resolution[-1]["reason"]) == (State.CANCELLED, "duplicate")


def test_a_paused_queue_is_not_due(subscribe, pack, worker):
    subscribe(ParcelPacked, queue="shipping")(lambda event: None)
    pack()
    Queue.objects.create(name="shipping", paused_at=timezone.now(), paused_by="user:1")

    assert list(Delivery.objects.due(timezone.now())) == []


def test_publishing_inside_a_handler_names_its_cause(subscribe, pack, run):
    from notifications.pipeline.events import publish

    @subscribe(ParcelPacked, when=lambda event: event.note == "")
    def chain(event):
        publish(ParcelPacked(parcel_id=8, note="caused"), about="parcel:8")

    first = pack()
    run()

    caused = Event.objects.get(subject="parcel:8")
    assert (caused.causation, caused.correlation_id) == (first, first.correlation_id)


def test_a_worker_row_counts_as_alive_while_it_beats(worker):
    assert worker.is_alive and Worker.objects.alive().count() == 1

    Worker.objects.update(beat_at=timezone.now() - timedelta(minutes=1))

    assert Worker.objects.alive().count() == 0


def test_a_transaction_left_open_by_the_publisher_is_not_needed_by_the_handler(subscribe, pack, run):
    depth = []
    subscribe(ParcelPacked, atomic=False)(lambda event: depth.append(transaction.get_connection().in_atomic_block))
    pack()

    run()

    assert depth == [False]


def test_a_handler_is_tried_as_often_as_it_asked_for(subscribe, pack, run):
    @subscribe(ParcelPacked, retry=Retry(attempts=2, first=timedelta(hours=2)))
    def fails(event):
        raise ValueError("no")

    pack()
    first = run()
    assert (first.state, first.max_attempts) == (State.READY, 2)
    assert first.available_at > timezone.now() + timedelta(minutes=59)

    assert run().state == State.DEAD
