"""One subject's events, one at a time and in order, whatever fails, dies or comes at the same moment."""

import random
import threading
from collections import defaultdict

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications.pipeline import decisions, ordering
from notifications.pipeline import delivery as deliveries
from notifications.pipeline.events import publish
from notifications.pipeline.models import Delivery, Worker
from notifications.pipeline.retries import Permanent
from tests.notifications.pipeline.conftest import ParcelPacked

State = Delivery.State
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seen(subscribe):
    """Every event that the ordered handler `note` was given, by its note; "fail" and "die" do not end well."""
    seen = []

    @subscribe(ParcelPacked, ordered=True)
    def note(event):
        seen.append(event.note)
        if event.note == "fail" and seen.count("fail") < 2:
            raise ValueError("not yet")
        if event.note == "die":
            raise Permanent("never")

    return seen


@pytest.fixture
def run_due(worker):
    def run():
        Delivery.objects.filter(state=State.READY).update(available_at=timezone.now())
        for pk in list(Delivery.objects.due(timezone.now()).values_list("pk", flat=True)):
            deliveries.attempt(delivery_id=pk, worker=worker)

    return run


def states():
    """Of our own handlers: a dead letter has others."""
    return [row.state for row in Delivery.objects.filter(handler__startswith="tests.").order_by("pk")]


def test_the_second_is_ready_when_the_first_is_done(seen, pack, run_due):
    pack(note="one"), pack(note="two")
    assert states() == ["ready", "waiting"]

    run_due()
    assert (seen, states()) == (["one"], ["done", "ready"])
    run_due()
    assert (seen, states()) == (["one", "two"], ["done", "done"])


def test_two_facts_of_one_transaction_come_one_after_the_other(seen, pack, run_due):
    with transaction.atomic():
        pack(note="one"), pack(note="two")

    run_due(), run_due()

    assert seen == ["one", "two"]


def test_a_try_that_failed_keeps_its_place(seen, pack, run_due):
    pack(note="fail"), pack(note="two")

    run_due()
    assert states() == ["ready", "waiting"]
    run_due(), run_due()

    assert seen == ["fail", "fail", "two"]


def test_behind_a_dead_letter_all_wait_until_a_person_decides(seen, pack, run_due):
    pack(note="die"), pack(note="two"), pack(note="three")
    run_due(), run_due()
    assert states() == ["dead", "waiting", "waiting"]

    decisions.discard(delivery=Delivery.objects.dead().get(), by="ada", reason="not needed")
    assert states() == ["cancelled", "ready", "waiting"]
    run_due(), run_due()

    assert seen == ["die", "two", "three"]


def test_other_subjects_and_other_handlers_do_not_wait(seen, subscribe, worker, run_due):
    subscribe(ParcelPacked)(lambda event: None)
    with transaction.atomic():
        for subject in ("parcel:1", "parcel:1", "parcel:2"):
            publish(ParcelPacked(parcel_id=1, note=subject), about=subject)

    ordered = Delivery.objects.filter(handler="tests.note").order_by("pk")
    assert [row.state for row in ordered] == ["ready", "waiting", "ready"]
    assert Delivery.objects.exclude(handler="tests.note").filter(state=State.READY).count() == 3


def test_what_a_handler_publishes_of_its_own_subject_comes_after_it(subscribe, pack, run_due):
    seen = []

    @subscribe(ParcelPacked, ordered=True)
    def twice(event):
        seen.append(event.note)
        if event.note == "one":
            publish(ParcelPacked(parcel_id=7, note="more"), about="parcel:7")

    pack(note="one"), pack(note="two")
    run_due(), run_due(), run_due()

    assert seen == ["one", "two", "more"]


def test_a_person_may_take_one_out_of_the_middle(seen, pack, run_due):
    pack(note="one"), pack(note="two"), pack(note="three")
    second = Delivery.objects.order_by("pk")[1]

    decisions.discard(delivery=second, by="ada", reason="sent by hand")
    run_due(), run_due()

    assert seen == ["one", "three"]


def test_a_discard_in_a_line_is_taken_back_as_long_as_nobody_has_passed(seen, pack, run_due):
    pack(note="one"), pack(note="two"), pack(note="three")
    second = Delivery.objects.order_by("pk")[1]
    decisions.discard(delivery=second, by="ada", reason="sent by hand")
    second.refresh_from_db()
    decisions.undo(delivery=second, by="ada")
    assert states() == ["ready", "waiting", "waiting"]
    run_due(), run_due(), run_due()

    assert seen == ["one", "two", "three"]


def test_a_discard_that_another_has_passed_stays(seen, pack, run_due):
    pack(note="die"), pack(note="two")
    run_due()
    first = Delivery.objects.dead().get()
    decisions.discard(delivery=first, by="ada", reason="not needed")
    first.refresh_from_db()

    assert not decisions.may_undo(first)
    with pytest.raises(decisions.NotWaiting):
        decisions.undo(delivery=first, by="ada")
    assert states() == ["cancelled", "ready"]


def test_what_was_skipped_or_done_cannot_be_taken_back(seen, pack, run_due):
    pack(note="one")
    run_due()
    with pytest.raises(decisions.NotWaiting):
        decisions.undo(delivery=Delivery.objects.get(), by="ada")


def test_a_corrected_payload_is_read_in_its_place_in_the_line(seen, pack, run_due):
    pack(note="die"), pack(note="two")
    run_due()
    decisions.correct(delivery=Delivery.objects.dead().get(), payload={"parcel_id": 7, "note": "live"}, by="ada")
    run_due(), run_due()

    assert seen == ["die", "live", "two"]


def test_a_baton_that_nobody_holds_is_found(seen, pack, run_due):
    pack(note="one"), pack(note="two"), pack(note="three")
    Delivery.objects.filter(state=State.READY).update(state=State.CANCELLED)  # by hand, in the database

    with transaction.atomic():
        assert ordering.mend_lines() == 1
    run_due(), run_due()

    assert seen == ["two", "three"]


def test_only_the_latest_word_counts(subscribe, pack, run_due):
    seen = []

    @subscribe(ParcelPacked, latest_only=True)
    def show(event):
        seen.append(event.note)

    pack(note="old"), pack(note="new")
    run_due()

    assert (seen, states()) == (["new"], ["cancelled", "done"])
    [why] = Delivery.objects.order_by("pk")[0].resolution
    assert (why["action"], why["reason"]) == ("skip", "test.parcel.packed parcel:7 came after it")


def test_what_was_decided_before_a_skip_stays_written(subscribe, pack, run_due):
    @subscribe(ParcelPacked, latest_only=True)
    def show(event):
        raise Permanent("no screen")

    pack(note="old")
    run_due()
    old = Delivery.objects.get(handler="tests.show")
    decisions.retry(delivery=old, by="ada")
    pack(note="new")
    run_due()

    old.refresh_from_db()
    assert (old.state, [entry["action"] for entry in old.resolution]) == ("cancelled", ["retry", "skip"])


def test_where_only_the_latest_counts_nobody_waits_for_another(subscribe, pack, run_due):
    @subscribe(ParcelPacked, latest_only=True)
    def show(event):
        raise Permanent("no screen")

    for note in ("old", "new"):
        pack(note=note)
        run_due()
    newest = Delivery.objects.filter(handler="tests.show").order_by("pk")[1]
    decisions.discard(delivery=newest, by="ada", reason="seen")
    newest.refresh_from_db()
    decisions.undo(delivery=newest, by="ada")

    newest.refresh_from_db()
    assert newest.state == "dead"


def test_what_waited_for_its_time_waits_again_when_its_discard_is_taken_back(seen, pack):
    pack(note="one")
    row = Delivery.objects.get()
    decisions.discard(delivery=row, by="ada", reason="sent by hand")
    row.refresh_from_db()
    decisions.undo(delivery=row, by="ada")
    row.refresh_from_db()

    assert (row.state, row.finished_at) == ("ready", None)


def test_who_decides_stops_the_line_before_the_row(seen, pack):
    """Whoever hands a baton on does so in this order: in the other, two would wait for each other."""
    pack(note="one"), pack(note="two")
    with CaptureQueriesContext(connection) as asked:
        decisions.discard(delivery=Delivery.objects.order_by("pk")[1], by="ada", reason="sent by hand")
    words = [word for one in asked for word in ("pg_advisory_xact_lock", "UPDATE") if word in one["sql"]]

    assert words[0] == ("UPDATE" if connection.vendor == "sqlite" else "pg_advisory_xact_lock")


def test_with_failures_and_many_at_once_nothing_overtakes_and_nothing_overlaps(subscribe, worker):
    """12 subjects of 8 events, published and run by several threads; a fifth of all tries fails."""
    dice, lock = random.Random(4), threading.Lock()
    done, running, overlaps = defaultdict(list), set(), []

    @subscribe(ParcelPacked, ordered=True, atomic=False)
    def note(event):
        with lock:
            overlaps.extend({event.parcel_id} & running)
            running.add(event.parcel_id)
            fails = dice.random() < 0.2
        try:
            if fails:
                raise ValueError("by chance")
            with lock:
                done[event.parcel_id].append(int(event.note))
        finally:
            with lock:
                running.discard(event.parcel_id)

    def publishes(subjects):
        for n in range(8):
            for subject in subjects:
                with transaction.atomic():
                    publish(ParcelPacked(parcel_id=subject, note=str(n)), about=f"parcel:{subject}")
        connection.close()

    def runs():
        me = Worker.objects.create(kind=Worker.Kind.WORKER, host="test", pid=1, lock_key=1)
        while sum(map(len, done.values())) < 12 * 8 and not late.is_set():
            Delivery.objects.filter(state=State.READY).update(available_at=timezone.now())
            for pk in Delivery.objects.due(timezone.now()).values_list("pk", flat=True)[:5]:
                deliveries.attempt(delivery_id=pk, worker=me)
        connection.close()

    late = threading.Event()
    threads = [threading.Thread(target=publishes, args=[range(n, 12, 2)]) for n in range(2)]
    threads += [threading.Thread(target=runs) for _ in range(3)]
    timer = threading.Timer(60, late.set)
    timer.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timer.cancel()

    assert dict(done) == {subject: list(range(8)) for subject in range(12)}
    assert overlaps == []
