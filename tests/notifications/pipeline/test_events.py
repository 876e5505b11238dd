import pytest
from django.db import IntegrityError, transaction

from notifications import correlation
from notifications.pipeline.events import BadPayload, DomainEvent, OutsideTransaction, publish, seconds
from notifications.pipeline.models import Delivery, Event
from notifications.pipeline.signals import published
from tests.notifications.pipeline.conftest import ParcelPacked


@pytest.mark.parametrize("handlers", [1, 10])
def test_publishing_costs_two_inserts_however_many_handlers(subscribe, django_assert_num_queries, db, handlers):
    for number in range(handlers):
        function = lambda event: None  # noqa: E731
        function.__name__ = f"handler_{number}"
        subscribe(ParcelPacked)(function)

    with transaction.atomic(), django_assert_num_queries(2) as captured:
        publish(ParcelPacked(parcel_id=7))

    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["INSERT", "INSERT"]
    assert Delivery.objects.count() == handlers


def test_publishing_outside_a_transaction_is_refused(transactional_db):
    with pytest.raises(OutsideTransaction, match=r"test\.parcel\.packed"):
        publish(ParcelPacked(parcel_id=7))

    assert Event.objects.count() == 0


def test_what_is_rolled_back_was_never_published(subscribe, transactional_db):
    subscribe(ParcelPacked)(lambda event: None)

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        publish(ParcelPacked(parcel_id=7))
        1 / 0  # noqa: B018

    assert (Event.objects.count(), Delivery.objects.count()) == (0, 0)


def test_a_plain_receiver_may_refuse_the_transaction(transactional_db):
    def veto(sender, **kwargs):
        raise ValueError("not on a Sunday")

    published.connect(veto, sender=ParcelPacked)
    try:
        with pytest.raises(ValueError, match="Sunday"), transaction.atomic():
            publish(ParcelPacked(parcel_id=7))
    finally:
        published.disconnect(veto, sender=ParcelPacked)

    assert Event.objects.count() == 0


def test_an_event_carries_id_actor_and_cause(db, pack):
    with correlation.bound(correlation_id="abc", actor="user:5"):
        first = pack()
        with correlation.bound(correlation_id="abc", actor="orders.handler", cause=first.pk):
            second = pack()

    assert (first.correlation_id, first.actor, first.causation) == ("abc", "user:5", None)
    assert (second.correlation_id, second.actor, second.causation) == ("abc", "orders.handler", first)


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"parcel_id": "7"}, "parcel_id"),
        ({"parcel_id": True}, "parcel_id"),
        ({"parcel_id": 7.0}, "parcel_id"),
        ({"parcel_id": 7, "note": None}, "note"),
        ({"parcel_id": 7, "tags": ["a"]}, "tags"),
        ({"parcel_id": 7, "weight": "3"}, "weight"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(facts, field):
    with pytest.raises(BadPayload, match=field):
        ParcelPacked(**facts)


def test_a_payload_reads_back_as_it_was_published(db, pack):
    record = pack(note="fragile", tags=("a", "b"), weight=None)

    record.refresh_from_db()

    assert ParcelPacked.from_payload(record.payload) == ParcelPacked(parcel_id=7, note="fragile", tags=("a", "b"))


def test_a_field_that_is_no_plain_value_is_refused_at_declaration():
    with pytest.raises(TypeError, match="when"):

        class Impossible(DomainEvent, name="test.impossible"):
            when: float


def test_two_events_may_not_share_a_name():
    with pytest.raises(TypeError, match="declared twice"):

        class Another(DomainEvent, name="test.parcel.packed"):
            pass


def test_a_dedupe_key_lets_one_event_in(transactional_db):
    for _ in range(2):
        try:
            with transaction.atomic():
                publish(ParcelPacked(parcel_id=7), dedupe_key="only")
        except IntegrityError:
            pass

    assert Event.objects.count() == 1


def test_a_handler_that_has_nothing_to_do_with_it_gets_no_delivery(subscribe, db, pack):
    subscribe(ParcelPacked, when=lambda event: event.note == "fragile")(lambda event: None)

    pack(note="sturdy")
    pack(note="fragile")

    assert [delivery.event.payload["note"] for delivery in Delivery.objects.all()] == ["fragile"]


def test_a_delayed_handler_is_due_later(subscribe, db, pack, the_delivery):
    subscribe(ParcelPacked, after=seconds(15))(lambda event: None)

    record = pack()

    assert 14 < (the_delivery().available_at - record.occurred_at).total_seconds() < 16
