"""Money before letters, letters before campaigns; and nobody starves."""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from notifications.campaigns import campaigns
from notifications.mail.events import EmailQueued
from notifications.models import Delivery, Event, Queue
from notifications.pipeline import due, events
from notifications.pipeline.broker import WINDOW
from notifications.pipeline.due import look_up
from notifications.pipeline.models import Priority
from tests.notifications.pipeline.conftest import ParcelPacked
from tests.notifications.pipeline.test_relay import beside, eventually, relay, turn

__all__ = ["beside", "relay"]
pytestmark = pytest.mark.django_db(transaction=True)

LETTERS = 500


def store(count, *, priority, handler="tests.post", queue="shipping", **facts):
    """So many deliveries that are due, without their publication."""
    made = Event.objects.bulk_create(
        Event(name="test.parcel.packed", payload={"parcel_id": n}, correlation_id="a", actor="x") for n in range(count)
    )
    rows = (Delivery(event=event, handler=handler, queue=queue, priority=priority, **facts) for event in made)
    return [row.pk for row in Delivery.objects.bulk_create(rows)]


def test_a_campaign_that_waits_does_not_delay_a_payment(subscribe, pack, relay):
    paid, posted = [], []

    @subscribe(ParcelPacked, priority=Priority.LAST, when=lambda event: event.parcel_id == 0)
    def post(event):
        posted.append(event.parcel_id)
        time.sleep(0.02)

    @subscribe(ParcelPacked, priority=Priority.FIRST, when=lambda event: event.parcel_id != 0)
    def settle(event):
        paid.append(len(posted))

    store(LETTERS, priority=Priority.LAST)
    pack(parcel_id=0)  # it rings
    assert eventually(lambda: len(posted) > 10)
    asked = len(posted)
    pack(parcel_id=1)

    assert eventually(lambda: paid)
    assert paid[0] - asked < LETTERS / 4  # those that were begun, and while it was published
    assert eventually(lambda: len(posted) == LETTERS + 1, within=60)


def test_hints_of_what_comes_first_go_first_and_find_room_in_a_full_queue(beside, subscribe):
    subscribe(ParcelPacked, queue="shipping")(lambda event: None)
    store(30, priority=Priority.LAST)
    [payment] = store(1, priority=Priority.FIRST)
    relay = beside(queues="shipping", slots=4)
    turn(relay)
    assert relay.broker.told[0] == ("shipping", [payment])
    assert relay.broker.priorities == [0, *[2] * 30]

    relay.broker.depths["shipping"] = WINDOW
    [again], _ = store(1, priority=Priority.FIRST), store(1, priority=Priority.USUAL)
    turn(relay)
    assert relay.broker.told[31:] == [("shipping", [again])]

    relay.broker.depths["shipping"] = WINDOW * 2
    store(1, priority=Priority.FIRST)
    turn(relay)
    assert len(relay.broker.told) == 32


def test_relay_and_model_agree_about_who_comes_first():
    early = timezone.now() - timedelta(hours=1)
    late = store(1, priority=Priority.LAST, available_at=early)
    usual = store(1, priority=Priority.USUAL) + store(1, priority=Priority.USUAL, available_at=early)
    first = store(2, priority=Priority.FIRST)
    expected = [*first, *reversed(usual), *late]

    assert [pk for pk, *_ in look_up("handler = 'tests.post'", [], 50)] == expected
    mine = Delivery.objects.due(timezone.now()).filter(handler="tests.post")
    assert list(mine.values_list("pk", flat=True)) == expected


@pytest.mark.parametrize(("most", "expected"), [(16, [12, 2, 2]), (50, [38, 6, 6]), (200, [100, 20, 20])])
def test_an_eighth_of_the_room_is_kept_for_each_lower_priority(most, expected):
    for count, priority in ((100, Priority.FIRST), (20, Priority.USUAL), (20, Priority.LAST)):
        store(count, priority=priority)

    found = [row[2] for row in look_up("handler = 'tests.post'", [], most)]
    assert [found.count(priority) for priority in Priority.values] == expected


def test_where_only_one_may_run_the_last_has_its_turn_too():
    Queue.objects.create(name="shipping", at_once=1)
    store(1, priority=Priority.FIRST)
    store(1, priority=Priority.LAST)

    found = [look_up("handler = 'tests.post'", [], 1)[0][2] for _ in range(due.SHARE)]
    assert sorted(found) == [*[0] * 7, 2]


@pytest.mark.parametrize(
    ("handler", "priority"),
    [
        ("orders.ask_gateway", Priority.FIRST),
        ("orders.settle_unanswered_payment", Priority.FIRST),
        ("orders.carry_out_refund", Priority.FIRST),
        ("orders.email_confirmation", Priority.USUAL),
        ("notifications.carry_on_campaign", Priority.LAST),
    ],
)
def test_money_comes_before_letters_and_letters_before_campaigns(handler, priority):
    assert events.subscriptions[handler].priority == priority


@pytest.mark.parametrize(("template", "priority"), [("orders/confirmation", 1), (campaigns.TEMPLATE, 2)])
def test_a_letter_of_a_campaign_comes_last(template, priority):
    send = events.subscriptions["notifications.send_letter"]

    assert send.row(Event(name="email.queued"), EmailQueued(letter_id=1, template=template)).priority == priority


def test_a_release_that_knows_no_priorities_may_publish():
    [pk] = store(1, priority=Priority.FIRST)
    columns = "uid, event_id, handler, queue, state, available_at, attempt, max_attempts, crashes, token, last_error"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO notifications_delivery ({columns}, fingerprint, created_at)"
            " SELECT %s, event_id, 'tests.older', queue, state, available_at, 0, 10, 0, 0, '', '', created_at"
            " FROM notifications_delivery WHERE id = %s",
            ["0" * 32, pk],
        )

    assert Delivery.objects.get(handler="tests.older").priority == Priority.USUAL
