"""What a person says of a queue holds for all workers together: pause it, or run so many of it at once."""

import queue
import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from notifications.models import Brake, Delivery, Queue
from notifications.pipeline import brakes, queues
from notifications.pipeline import delivery as deliveries
from notifications.pipeline.due import look_up
from notifications.pipeline.health import LATE, pipeline_health
from orders.books.history import every_handler_once
from tests.notifications.pipeline.conftest import ParcelPacked

pytestmark = pytest.mark.django_db(transaction=True)


def waiting():
    return Delivery.objects.filter(handler="tests.sort", state="ready").order_by("pk")


def test_a_paused_queue_starts_nothing_not_even_what_is_hinted(sorted_parcels, pack, worker, deliver_due):
    pack()
    queues.pause("shipping", by="user:1", reason="the depot moves")
    hinted = deliveries.attempt(delivery_id=waiting().get().pk, worker=worker)
    deliver_due()
    assert (hinted, sorted_parcels, pipeline_health().held) == (False, [], 1)

    assert queues.resume("shipping")
    deliver_due()
    assert sorted_parcels == [7]
    assert not queues.resume("shipping")


def test_no_more_run_at_once_than_were_allowed(subscribe, pack, worker):
    """Six threads, each with a hint of its own, while none comes to its end; two may run."""
    begun, end, answers = [], threading.Event(), queue.Queue()

    @subscribe(ParcelPacked, queue="shipping", atomic=False)
    def sort(event):
        begun.append(event.parcel_id)
        end.wait(20)

    for n in range(6):
        pack(parcel_id=n)
    queues.limit("shipping", 2)

    def hint(pk):
        answers.put(deliveries.attempt(delivery_id=pk, worker=worker))
        connection.close()

    threads = [threading.Thread(target=hint, args=[pk]) for pk in waiting().values_list("pk", flat=True)]
    for thread in threads:
        thread.start()
    turned_away = [answers.get(timeout=20) for _ in range(4)]
    end.set()
    for thread in threads:
        thread.join(20)

    assert turned_away == [False] * 4
    assert len(begun) == 2
    assert sorted(Delivery.objects.filter(handler="tests.sort").values_list("state", "attempt")) == [
        *[("done", 1)] * 2,
        *[("ready", 0)] * 4,
    ]


def test_who_finds_no_room_has_lost_nothing(sorted_parcels, pack, worker):
    pack(parcel_id=1)
    pack(parcel_id=2)
    queues.limit("shipping", 1)
    first, second = waiting()
    Delivery.objects.filter(pk=first.pk).update(state="running", worker=worker, lease_until=first.created_at)

    assert not deliveries.attempt(delivery_id=second.pk, worker=worker)
    second.refresh_from_db()
    assert (second.state, second.attempt, second.token) == ("ready", 0, 0)

    queues.limit("shipping", None)
    assert deliveries.attempt(delivery_id=second.pk, worker=worker)


def test_what_each_queue_does_is_counted(sorted_parcels, pack):
    pack()
    queues.limit("shipping", 3)
    said = {load.name: load for load in queues.loads()}

    assert list(said) == ["default", "mail", "images", "video", "shipping", "webhooks"]
    assert (said["shipping"].waiting, said["shipping"].running, said["shipping"].at_once) == (1, 0, 3)


@pytest.mark.parametrize("change", [["--pause"], ["--at-once", "2"], []])
def test_the_terminal_names_the_queues_there_are(change):
    with pytest.raises(
        CommandError, match=r"no queue post\. There are: default, mail, images, video, shipping, webhooks"
    ):
        call_command("pipeline", "queue", "post", *change)


@pytest.mark.parametrize("typed", ["-1", "1001"])
def test_a_limit_that_is_none_is_refused(typed):
    with pytest.raises(CommandError, match="from 1 to 1000"):
        call_command("pipeline", "queue", "mail", "--at-once", typed)
    assert not Queue.objects.filter(name="mail").exists()


def test_the_terminal_pauses_limits_and_resumes():
    def said(*arguments):
        out = StringIO()
        call_command("pipeline", "queue", "mail", *arguments, stdout=out)
        return out.getvalue().strip()

    assert (
        said("--pause", "--reason", "the server moves")
        == "mail: 0 waiting, 0 running, all at once, paused by terminal the server moves"
    )
    assert said("--at-once", "4").startswith("mail: 0 waiting, 0 running, 4 at once, paused")
    assert said("--resume") == "mail: 0 waiting, 0 running, 4 at once"
    assert said("--at-once", "0") == "mail: 0 waiting, 0 running, all at once"


def test_what_waits_behind_a_limit_is_no_alarm_while_the_queue_moves(sorted_parcels, pack, worker):
    for n in range(3):
        pack(parcel_id=n)
    long_ago = timezone.now() - timedelta(minutes=5)
    Delivery.objects.filter(handler="tests.sort").update(available_at=long_ago)
    assert pipeline_health().oldest_waiting_seconds > LATE

    queues.limit("shipping", 1)
    assert pipeline_health().oldest_waiting_seconds > LATE  # nothing of it runs
    deliveries.attempt(delivery_id=waiting().first().pk, worker=worker)
    assert pipeline_health().oldest_waiting_seconds < LATE
    assert not [line for line in every_handler_once(None) if "has waited" in line]

    Delivery.objects.filter(handler="tests.sort", state="done").update(finished_at=long_ago)
    assert pipeline_health().oldest_waiting_seconds > LATE


# -- What is due, in three spellings --------------------------------------------------------------


HOLDS = {
    "nothing": lambda: None,
    "its queue is paused": lambda: queues.pause("shipping", by="user:1"),
    "its handler is paused": lambda: brakes.pause("tests.sort", by="user:1"),
    "its handler rests": lambda: Brake.objects.create(
        handler="tests.sort", fails=5, resting_until=timezone.now() + timedelta(minutes=1)
    ),
    "its time has not come": lambda: waiting().update(available_at=timezone.now() + timedelta(minutes=1)),
    "another queue is paused": lambda: queues.pause("mail", by="user:1"),
    "the rest is over": lambda: Brake.objects.create(
        handler="tests.sort", fails=5, resting_until=timezone.now() - timedelta(minutes=1)
    ),
    "others of its line come first": lambda: waiting().update(state="waiting", order_key="parcel:7"),
}


@pytest.mark.parametrize("hold", HOLDS)
def test_relay_claim_and_model_agree_about_what_is_due(sorted_parcels, pack, worker, hold):
    pack()
    [pk] = waiting().values_list("pk", flat=True)
    HOLDS[hold]()
    due = hold in ("nothing", "another queue is paused", "the rest is over")

    assert Delivery.objects.due(timezone.now()).filter(pk=pk).exists() is due
    assert (pk in [found for found, *_ in look_up("TRUE", [], 10)]) is due
    assert deliveries.attempt(delivery_id=pk, worker=worker) is due
