"""The map of the pipeline: who hears what, what comes of it, and how that is known."""

import json
import xml.etree.ElementTree as ET
from io import StringIO

import pytest
from django.core.management import call_command

from notifications.models import Delivery, Event
from notifications.pipeline.events import DomainEvent, declared, publish, subscriptions
from notifications.pipeline.map import pipeline_map
from notifications.pipeline.map.sources import made_in
from tests.notifications.pipeline.conftest import ParcelPacked

pytestmark = pytest.mark.django_db(transaction=True)


class ParcelMapped(DomainEvent, name="test.parcel.mapped"):
    """Fires when a test has weighed a parcel."""

    parcel_id: int


class ParcelLabelled(DomainEvent, name="test.parcel.labelled", version=3):
    """Fires when a test has put a label on a parcel."""

    parcel_id: int


def mapped(form):
    out = StringIO()
    call_command("pipeline", "map", "--format", form, stdout=out)
    return out.getvalue()


def weigh_if(heavy, parcel_id):
    kind = ParcelMapped if heavy else ParcelLabelled
    publish(kind(parcel_id=parcel_id))


def look_at(event):
    assert not isinstance(event, ParcelMapped)
    return Event.objects.filter(name=ParcelLabelled.name).count()


@pytest.fixture
def weigher(subscribe):
    @subscribe(ParcelPacked, queue="shipping", ordered=True)
    def weigh(event: ParcelPacked) -> None:
        weigh_if(event.weight, event.parcel_id)

    return "tests.weigh"


def test_a_handler_stands_beside_what_it_hears_with_how_it_is_run(weigher):
    shown = pipeline_map()
    [event] = [event for event in shown.events if event.name == "test.parcel.packed"]
    handler = shown.handlers[weigher]

    assert (event.handlers, event.version, event.public, event.meaning) == ((weigher,), 1, False, "A fact for tests.")
    assert (handler.queue, handler.ordered, handler.atomic, handler.after) == ("shipping", True, True, 0)


def test_every_declared_event_and_every_handler_is_on_it():
    shown = pipeline_map()

    assert {event.name for event in shown.events} == set(declared)
    assert shown.handlers.keys() == subscriptions.keys()


def test_what_is_published_is_read_from_the_code_and_counted_in_what_happened(weigher, pack, deliver_due):
    pack(weight=20)
    pack(weight=20)
    deliver_due()
    made = pipeline_map().handlers[weigher].publishes

    assert [(one.event, one.in_source, one.recorded) for one in made] == [
        ("test.parcel.mapped", True, 2),
        ("test.parcel.labelled", True, 0),
    ]


def test_what_the_code_does_not_show_is_known_from_what_happened(subscribe, pack, deliver_due):
    kinds = {"weighed": ParcelMapped}

    @subscribe(ParcelPacked)
    def weigh_by_table(event):
        publish(kinds["weighed"](parcel_id=event.parcel_id))

    pack()
    deliver_due()
    [made] = pipeline_map().handlers["tests.weigh_by_table"].publishes

    assert (made.event, made.in_source, made.recorded) == ("test.parcel.mapped", False, 1)


def test_an_event_that_is_only_asked_about_is_not_taken_for_one_that_is_published():
    assert made_in(look_at) == frozenset()


def test_that_a_delivery_died_is_not_said_to_be_published_by_its_handler(subscribe, pack, deliver_due):
    @subscribe(ParcelPacked)
    def fail(event):
        from notifications.pipeline.retries import Permanent

        raise Permanent("no")

    pack()
    deliver_due()

    assert Event.objects.filter(name="delivery.buried", actor="tests.fail").count() == 1
    assert pipeline_map().handlers["tests.fail"].publishes == ()


def test_of_the_shop_itself_the_known_ways_are_found():
    made = {name: {one.event for one in each.publishes} for name, each in pipeline_map().handlers.items()}

    assert made["orders.email_confirmation"] == {"email.queued"}
    assert made["notifications.send_letter"] == {"email.sent", "email.bounced"}
    assert made["orders.record_shipping_notice"] == {"shipping.notified"}
    assert {"payment.received", "payment.failed", "refund.requested"} < made["orders.ask_gateway"]
    assert made["accounts.make_profile"] == set()


def test_what_nobody_listens_to_is_named():
    assert "test.parcel.labelled" in pipeline_map().unhandled
    assert "payment.received" not in pipeline_map().unhandled


def test_deliveries_that_wait_for_what_this_release_does_not_know_are_counted(pack):
    packed = pack()
    newer = Event.objects.create(name="test.parcel.packed", version=9, payload={}, correlation_id="c", actor="x")
    gone = Event.objects.create(name="test.parcel.lost", payload={}, correlation_id="c", actor="x")
    for event, handler, state in [
        (packed, "orders.no_more", "ready"),
        (packed, "orders.never_was", "done"),
        (newer, "accounts.make_profile", "ready"),
        (gone, "accounts.make_profile", "waiting"),
    ]:
        line = "parcel:1" if state == "waiting" else None
        Delivery.objects.create(event=event, handler=handler, state=state, order_key=line)

    assert sorted((one.count, one.reason) for one in pipeline_map().stranded) == [
        (1, "no event is named test.parcel.lost"),
        (1, "no handler is named orders.no_more"),
        (1, "test.parcel.packed is version 9; this release knows 1"),
    ]


def test_the_map_asks_three_questions_however_much_there_is(pack, django_assert_num_queries):
    for _ in range(3):
        pack()
    with django_assert_num_queries(3):
        pipeline_map()


def test_programs_get_all_of_it():
    facts = json.loads(mapped("json"))
    placed = next(event for event in facts["events"] if event["name"] == "order.placed")

    assert facts.keys() == {"events", "handlers", "unhandled", "stranded", "read"}
    assert "orders.settle_unanswered_payment" in placed["handlers"]
    assert facts["handlers"]["orders.settle_unanswered_payment"]["after"] == 15
    assert facts["handlers"]["notifications.send_letter"]["queue"] == "mail"


def test_the_terminal_shows_each_event_with_who_listens(weigher):
    words = mapped("text")

    assert "  test.parcel.packed v1\n    → tests.weigh  (shipping, ordered)\n" in words
    assert "        may publish test.parcel.labelled, test.parcel.mapped\n" in words
    assert "No delivery waits for a handler or an event that this release does not know." in words


def test_markdown_is_a_table_for_each_app(weigher):
    words = mapped("markdown")

    assert "| `test.parcel.labelled` v3 | nobody | | |" in words
    assert "| `test.parcel.packed` v1 | `tests.weigh` | shipping, ordered |" in words


def test_the_drawing_has_every_name_and_no_script():
    drawing = mapped("svg")
    names = {element.text for element in ET.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")}

    assert set(declared) <= names
    assert {handler.handler.partition(".")[2] for handler in pipeline_map().handlers.values()} <= names
    assert "<script" not in drawing
    assert "prefers-color-scheme: dark" in drawing


def test_no_two_names_of_the_drawing_meet(weigher):
    pills = [
        {name: float(rect.get(name)) for name in ("x", "y", "width", "height")}
        for rect in ET.fromstring(mapped("svg")).iter("{http://www.w3.org/2000/svg}rect")
        if rect.get("class") == "wbm-box"
    ]
    assert all(one["x"] + one["width"] <= 1000 for one in pills)
    for number, one in enumerate(pills):
        assert not [other for other in pills[number + 1 :] if _meet(one, other)]


def _meet(one, other):
    apart_x = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
    apart_y = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
    return not (apart_x or apart_y)
