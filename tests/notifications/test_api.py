"""Events and deliveries for programs of staff."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications.pipeline.models import Attempt, Delivery, Event, Worker
from tests.api.programs import Program, customer, sent, staff

State = Delivery.State


@pytest.fixture
def operator(db):
    return Program(staff(), ["events:read", "deliveries:write"])


def an_event(name="order.placed", subject="order:17", **facts):
    return Event.objects.create(name=name, subject=subject, payload={"order_id": 17}, correlation_id="r-1", **facts)


def a_delivery(state=State.DEAD, handler="orders.email_confirmation", **facts):
    return Delivery.objects.create(event=an_event(), handler=handler, state=state, **facts)


def ids(answer):
    return [row["id"] for row in sent(answer)["results"]]


UNKNOWN = "1f0c1de2-9c1f-4b5e-8f3a-5d1c0a7b9e42"
PATHS = ["deliveries/", "events/", f"deliveries/{UNKNOWN}/", f"events/{UNKNOWN}/"]
ACTIONS = ["deliveries/retry/", f"deliveries/{UNKNOWN}/retry/", f"deliveries/{UNKNOWN}/discard/"]


@pytest.mark.parametrize("path", PATHS)
def test_reading_is_for_staff_with_the_scope(db, path):
    assert Program().get(path).status_code == 401
    assert sent(Program(customer()).get(path))["detail"] == "This is for keys of staff."
    without = Program(staff(), ["orders:read", "deliveries:write"]).get(path)
    assert (without.status_code, sent(without)["detail"]) == (403, "This key lacks the scope events:read.")


@pytest.mark.parametrize("path", ACTIONS)
def test_deciding_is_for_staff_with_the_scope(db, path):
    assert Program().post(path).status_code == 401
    assert Program(customer()).post(path).status_code == 403
    without = Program(staff(), ["events:read"]).post(path)
    assert (without.status_code, sent(without)["detail"]) == (403, "This key lacks the scope deliveries:write.")


def test_a_delivery_is_told_with_its_failed_tries(operator):
    delivery = a_delivery(attempt=2, last_error="SMTPException: no")
    worker = Worker.objects.create(kind="worker", host="h", pid=1, lock_key=1)
    Attempt.objects.create(
        delivery=delivery, n=1, token=1, worker=worker, outcome="error", error_class="SMTPException", message="no"
    )

    body = sent(operator.get(f"deliveries/{delivery.uid}/"))

    assert (body["id"], body["handler"], body["state"]) == (str(delivery.uid), "orders.email_confirmation", "dead")
    assert (body["attempts"], body["last_error"], body["decisions"]) == (2, "SMTPException: no", [])
    assert body["event"] == {"id": str(delivery.event.uid), "name": "order.placed", "subject": "order:17"}
    assert [(t["n"], t["outcome"], t["error_class"], t["message"]) for t in body["tries"]] == [
        (1, "error", "SMTPException", "no")
    ]


def test_deliveries_are_filtered_by_state_and_handler(operator):
    dead = a_delivery()
    other = a_delivery(handler="orders.notify_shipping")
    a_delivery(State.DONE)

    assert ids(operator.get("deliveries/", {"state": "dead"})) == [str(other.uid), str(dead.uid)]
    assert ids(operator.get("deliveries/", {"state": "dead", "handler": "orders.email_confirmation"})) == [
        str(dead.uid)
    ]


def test_a_dead_delivery_is_retried_at_once_and_it_is_kept_who_said_so(operator):
    delivery = a_delivery(attempt=10, finished_at=timezone.now())

    answer = operator.post(f"deliveries/{delivery.uid}/retry/")

    delivery.refresh_from_db()
    assert (answer.status_code, sent(answer)["state"], delivery.state) == (200, "ready", "ready")
    assert delivery.available_at <= timezone.now()
    [decision] = sent(answer)["decisions"]
    assert (decision["action"], decision["by"]) == ("retry", f"key:{operator.key.pk}")


def test_a_dead_delivery_is_discarded_for_a_reason(operator):
    delivery = a_delivery()

    answer = operator.post(f"deliveries/{delivery.uid}/discard/", {"reason": "Asked twice."})

    assert (answer.status_code, sent(answer)["state"]) == (200, "cancelled")
    [decision] = sent(answer)["decisions"]
    assert (decision["action"], decision["by"], decision["reason"]) == (
        "discard",
        f"key:{operator.key.pk}",
        "Asked twice.",
    )


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "\0"}, {"reason": 1}, {"reason": "x" * 201}])
def test_discarding_needs_a_reason(operator, body):
    delivery = a_delivery()

    answer = operator.post(f"deliveries/{delivery.uid}/discard/", body)

    assert (answer.status_code, sent(answer)["errors"][0]["field"]) == (400, "reason")
    assert Delivery.objects.get().state == "dead"


@pytest.mark.parametrize("action", ["retry", "discard"])
def test_what_is_done_cannot_be_decided_any_more(operator, action):
    delivery = a_delivery(State.DONE)

    answer = operator.post(f"deliveries/{delivery.uid}/{action}/", {"reason": "late"})

    assert (answer.status_code, sent(answer)["code"]) == (409, "not_waiting")


def test_dead_deliveries_are_retried_by_the_group_oldest_first(operator):
    old, new = a_delivery(), a_delivery()
    other = a_delivery(handler="orders.notify_shipping")
    later = a_delivery(State.READY, available_at=timezone.now() + timedelta(hours=1))

    answer = operator.post("deliveries/retry/", {"handler": "orders.email_confirmation", "limit": 1})

    states = dict(Delivery.objects.values_list("pk", "state"))
    assert (answer.status_code, sent(answer)) == (200, {"retried": 1})
    assert states == {old.pk: "ready", new.pk: "dead", other.pk: "dead", later.pk: "ready"}
    assert Delivery.objects.get(pk=later.pk).resolution is None
    assert sent(operator.post("deliveries/retry/", {"state": "dead"})) == {"retried": 2}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"state": "ready"}, "state"),
        ({"hanlder": "orders.email_confirmation"}, "hanlder"),
        ({"limit": 0}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 10**9}, "limit"),
        ([], ""),
    ],
)
def test_a_misspelt_or_wider_filter_retries_nothing(operator, body, field):
    a_delivery()

    answer = operator.post("deliveries/retry/", body if body else "[]")

    assert (answer.status_code, [error["field"] for error in sent(answer)["errors"]]) == (400, [field])
    assert Delivery.objects.get().state == "dead"


def test_events_are_filtered_by_name_subject_and_correlation_id(operator):
    placed = an_event()
    paid = an_event("payment.received", causation=placed)
    other = an_event(subject="order:18")

    assert ids(operator.get("events/", {"name": "order.placed"})) == [str(other.uid), str(placed.uid)]
    assert ids(operator.get("events/", {"subject": "order:17"})) == [str(paid.uid), str(placed.uid)]
    assert len(ids(operator.get("events/", {"correlation_id": "r-1"}))) == 3
    assert ids(operator.get("events/", {"correlation_id": "r-2"})) == []


def test_an_event_is_told_with_its_deliveries_and_its_cause(operator):
    placed = an_event()
    paid = an_event("payment.received", causation=placed, actor="key:1")
    delivery = Delivery.objects.create(event=paid, handler="orders.notify_shipping")

    body = sent(operator.get(f"events/{paid.uid}/"))

    assert (body["id"], body["name"], body["caused_by"]) == (str(paid.uid), "payment.received", str(placed.uid))
    assert (body["payload"], body["actor"]) == ({"order_id": 17}, "key:1")
    assert body["deliveries"] == [
        {"id": str(delivery.uid), "handler": "orders.notify_shipping", "state": "ready", "attempts": 0}
    ]
    assert sent(operator.get(f"events/{placed.uid}/"))["caused_by"] is None


@pytest.mark.parametrize("path", ["deliveries/", "events/"])
@pytest.mark.parametrize("length", [1, 30])
def test_a_list_costs_two_queries_whatever_its_length(operator, django_assert_num_queries, path, length):
    for _ in range(length):
        a_delivery()

    # The key and the page.
    with django_assert_num_queries(2):
        answer = operator.get(path, {"limit": 100})

    assert len(ids(answer)) == length


@pytest.mark.parametrize("query", [{"state": "lost"}, {"handler": "\0"}, {"cursor": "cD1hYmM="}])
def test_a_filter_that_cannot_be_read_is_400(operator, query):
    answer = operator.get("deliveries/", query)

    assert (answer.status_code, [error["field"] for error in sent(answer)["errors"]]) == (400, list(query))
