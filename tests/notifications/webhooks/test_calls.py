"""From an event to somebody else's machine: once, signed, again and again until it has arrived, and not for ever."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from notifications.models import Call, Delivery, Endpoint, Event, Letter
from notifications.pipeline import decisions
from notifications.pipeline.events import publish
from notifications.pipeline.models import Brake, Worker
from notifications.webhooks import calls, endpoints, fanout, interest, sending, signing
from notifications.webhooks.endpoints import Invalid
from orders.effects import side_effects
from orders.events import OrderShipped
from orders.models import Order

S = Call.State


def the_call():
    return Call.objects.get()


def age_endpoint(**ages):
    Endpoint.objects.update(**{name: timezone.now() - age for name, age in ages.items()})


def an_order(number, **facts):
    sums = {"subtotal": 100, "shipping": 0, "total": 100}
    return Order.objects.create(
        number=number, email="a@example.com", currency="EUR", shipping_address={}, correlation_id="c", **sums, **facts
    )


@pytest.fixture
def worker(transactional_db):
    return Worker.objects.create(kind=Worker.Kind.WORKER, host="here", pid=1, lock_key=1)


@pytest.fixture
def pass_rest(pass_time):
    """So much time passes, also for endpoints that rest."""

    def move(**duration):
        pass_time(**duration)
        for one in Endpoint.objects.exclude(resting_until=None):
            Endpoint.objects.filter(pk=one.pk).update(resting_until=one.resting_until - timedelta(**duration))

    return move


def test_an_event_is_told_once_and_signed(endpoint, receiver, cancel, deliver_due):
    record = cancel()

    deliver_due()
    deliver_due()

    [heard] = receiver.heard
    call = the_call()
    said = heard.said
    assert (said["type"], said["timestamp"]) == ("order.cancelled", record.occurred_at.isoformat())
    assert said["data"] == {
        "event_id": str(record.uid),
        "sequence": record.pk,
        "object": "order",
        "object_id": "7",
        "url": None,
        "request_id": record.correlation_id,
    }
    assert heard.headers["webhook-id"] == call.message_id
    stamp = int(heard.headers["webhook-timestamp"])
    assert heard.headers["webhook-signature"] == signing.signature(
        secret=endpoint.secret, message_id=call.message_id, timestamp=stamp, body=heard.body
    )
    assert heard.headers["x-request-id"] == record.correlation_id
    assert (call.state, call.attempts, call.tries[0]["status"]) == (S.DELIVERED, 1, 200)


def test_only_what_was_chosen_is_told(endpoint, receiver, deliver_due):
    with transaction.atomic():
        publish(OrderShipped(order_id=7, shipment_id=1), about="order:7")

    deliver_due()

    assert (receiver.heard, Call.objects.count()) == ([], 0)


def test_an_order_is_told_by_its_number_and_where_to_read_it(endpoint, receiver, cancel, deliver_due, settings):
    order = an_order("W-1001")
    cancel(about=order)

    deliver_due()

    [heard] = receiver.heard
    assert heard.said["data"]["object_id"] == "W-1001"
    assert heard.said["data"]["url"] == f"{settings.SITE_URL}/api/v1/orders/W-1001/"


def test_without_an_endpoint_an_event_costs_no_delivery(transactional_db, cancel):
    record = cancel()

    assert not Delivery.objects.filter(event=record, queue="webhooks").exists()


def test_a_customer_hears_of_their_own_orders_only(customer, receiver, private, cancel, deliver_due):
    other = User.objects.create_user("other@example.com", "a pass phrase")
    endpoints.open_endpoint(owner=customer, url=receiver.url, events=["order.cancelled"])
    orders = [an_order(f"W-{i}", user=user) for i, user in enumerate((customer, other, None))]

    for order in orders:
        cancel(about=order)
    cancel(about="product:1")
    deliver_due()

    assert [heard.said["data"]["object_id"] for heard in receiver.heard] == ["W-0"]


def test_who_may_not_sign_in_any_more_is_told_nothing(endpoint, receiver, cancel, deliver_due):
    User.objects.update(is_active=False)
    interest.forget()
    cancel()

    deliver_due()

    assert receiver.heard == []


def test_a_failure_is_tried_again_with_the_same_words_under_the_same_id(
    endpoint, receiver, cancel, deliver_due, pass_rest
):
    receiver.answers = [(500, "broken"), (404, "")]
    cancel()

    for _ in range(3):
        deliver_due()
        pass_rest(minutes=2)

    first, second, third = receiver.heard
    assert first.body == second.body == third.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == third.headers["webhook-id"]
    call = the_call()
    assert (call.state, [one["status"] for one in call.tries]) == (S.DELIVERED, [500, 404, 200])
    assert call.tries[0]["answer"] == "broken"
    assert Endpoint.objects.get().failures == 0


def test_a_failing_endpoint_burns_no_attempt_and_brakes_nobody(endpoint, receiver, cancel, deliver_due, pass_rest):
    receiver.answers = [(500, "")] * 40
    for _ in range(8):
        cancel()

    for _ in range(4):
        deliver_due()
        pass_rest(minutes=3)

    assert not Brake.objects.filter(handler="notifications.call_webhook", fails__gt=0).exists()
    waiting = Delivery.objects.filter(handler="notifications.call_webhook")
    assert {row.state for row in waiting} == {Delivery.State.READY}
    assert {row.attempt for row in waiting} == {0}


def test_an_endpoint_that_fails_rests_and_one_call_tries_it(endpoint, receiver, cancel, deliver_due, pass_rest):
    receiver.answers = [(500, "")] * 100
    for _ in range(10):
        cancel()

    deliver_due()
    met_before_the_rest = len(receiver.heard)
    pass_rest(minutes=10)
    deliver_due()

    assert met_before_the_rest == calls.patience.RESTS_AT
    assert len(receiver.heard) == met_before_the_rest + 1


def test_other_endpoints_do_not_wait_for_one_that_fails(endpoint, receiver, staff, cancel, deliver_due):
    endpoints.open_endpoint(owner=staff, url="http://127.0.0.1:9/", events=["order.cancelled"])
    for _ in range(6):
        cancel()

    deliver_due()

    assert len(receiver.heard) == 6


def test_it_recovers_by_itself(endpoint, receiver, cancel, deliver_due, pass_rest):
    receiver.answers = [(503, "")] * 5
    for _ in range(6):
        cancel()

    for _ in range(12):
        deliver_due()
        pass_rest(minutes=31)

    assert set(Call.objects.values_list("state", flat=True)) == {S.DELIVERED}
    one = Endpoint.objects.get()
    assert (one.failures, one.failing_since, one.resting_until) == (0, None, None)


def test_after_three_days_of_silence_it_is_disabled_and_its_owner_told(
    endpoint, receiver, cancel, deliver_due, pass_rest
):
    receiver.answers = [(500, "")] * 9
    cancel()
    deliver_due()
    age_endpoint(failing_since=timedelta(days=3, minutes=1), last_failed_at=timedelta(hours=12))
    cancel()

    deliver_due()

    one = Endpoint.objects.get()
    assert one.disabled_at is not None
    assert one.disabled_why.startswith("No call has reached it since ")
    assert set(Call.objects.values_list("state", flat=True)) == {S.DROPPED}
    [letter] = Letter.objects.filter(template="notifications/endpoint_disabled")
    assert letter.to == "boss@example.com"
    assert f"/accounts/webhooks/{one.uid}/" in letter.text
    deliver_due()
    pass_rest(hours=13)
    deliver_due()
    assert len(receiver.heard) == 2
    assert not Delivery.objects.dead().exists()


def test_410_means_gone(endpoint, receiver, cancel, deliver_due):
    receiver.answers = [(410, "")]
    cancel()

    deliver_due()

    assert Endpoint.objects.get().disabled_why == "It answered 410: it is gone."
    assert Letter.objects.filter(template="notifications/endpoint_disabled").count() == 1


def test_a_call_that_never_gets_through_is_a_dead_letter_and_a_person_can_retry_it(
    endpoint, receiver, cancel, deliver_due
):
    receiver.answers = [(400, "what?")]
    cancel()
    deliver_due()
    Call.objects.update(attempts=calls.PATIENCE.attempts - 1)
    Delivery.objects.filter(state="ready").update(available_at=timezone.now())
    receiver.answers = [(400, "what?")]

    deliver_due()

    dead = Delivery.objects.dead().get()
    assert dead.last_error == f"webhook endpoint {endpoint.pk} answered 400, after 21 tries"
    assert the_call().state == S.FAILED
    decisions.retry(delivery=dead, by="person")
    deliver_due()
    assert the_call().state == S.DELIVERED


def test_patience_lasts_three_days_at_least():
    class Unlucky:
        def random(self):
            return 0.0

    waits = [calls.PATIENCE.delay(n, Unlucky()) for n in range(1, calls.PATIENCE.attempts)]

    assert timedelta(days=3) <= sum(waits, timedelta()) <= timedelta(days=4)


def test_a_dead_call_is_no_news_to_call_about(endpoint, staff, receiver, cancel, deliver_due):
    endpoints.change(endpoint, url=receiver.url, events=["delivery.buried", "order.cancelled"], description="")
    receiver.answers = [(400, "")] * 5
    cancel()
    deliver_due()
    Call.objects.update(attempts=calls.PATIENCE.attempts)
    Delivery.objects.filter(state="ready").update(available_at=timezone.now())

    deliver_due()

    assert Event.objects.filter(name="delivery.buried").exists()
    assert Call.objects.count() == 1


def test_a_failure_in_the_shop_is_told_to_staff_by_webhook(staff, receiver, private, deliver_due, cancel):
    endpoints.open_endpoint(owner=staff, url=receiver.url, events=["delivery.buried"])
    with transaction.atomic():
        publish(OrderShipped(order_id=404, shipment_id=404), about="order:404")

    for _ in range(12):
        deliver_due()
        Delivery.objects.filter(state="ready").update(available_at=timezone.now())
        Brake.objects.update(resting_until=None)

    assert "delivery.buried" in {heard.said["type"] for heard in receiver.heard}


def test_send_again_says_the_same_under_the_same_id(endpoint, receiver, cancel, deliver_due):
    cancel()
    deliver_due()

    calls.resend(the_call())
    calls.resend(the_call())  # pressed twice
    deliver_due()

    first, second = receiver.heard
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert the_call().state == S.DELIVERED


def test_a_test_event_goes_to_this_endpoint_alone(endpoint, staff, receiver, deliver_due):
    endpoints.open_endpoint(owner=staff, url=f"{receiver.url}&second", events=["order.cancelled"])

    endpoints.send_test(endpoint)
    deliver_due()

    [heard] = receiver.heard
    assert (heard.path, heard.said["type"]) == ("/hook?from=shop", "webhook.tested")
    assert heard.said["data"]["object_id"] == str(endpoint.uid)


def test_a_new_secret_and_the_old_one_both_sign_for_a_day(endpoint, receiver, cancel, deliver_due):
    old = endpoint.secret
    endpoints.rotate(endpoint)
    cancel()
    deliver_due()
    age_endpoint(old_secret_until=timedelta(seconds=1))
    cancel()
    deliver_due()

    both, one = receiver.heard

    def signed(heard, secret):
        stamp = int(heard.headers["webhook-timestamp"])
        of = {"message_id": heard.headers["webhook-id"], "timestamp": stamp, "body": heard.body}
        return signing.signature(secret=secret, **of)

    assert both.headers["webhook-signature"] == f"{signed(both, endpoint.secret)} {signed(both, old)}"
    assert one.headers["webhook-signature"] == signed(one, endpoint.secret)


def test_what_was_published_before_a_process_knew_of_the_endpoint_is_made_up_for(
    staff, receiver, private, cancel, deliver_due, pass_time
):
    cancel("order:1")  # before it listens
    Event.objects.update(occurred_at=timezone.now() - timedelta(seconds=1))
    assert not interest.is_wanted("order.cancelled")  # remembered for some seconds
    endpoint = endpoints.open_endpoint(owner=staff, url=receiver.url, events=["order.cancelled"])
    missed = cancel("order:2")
    Delivery.objects.filter(event=missed, queue="webhooks").delete()  # another process, which did not know
    cancel("order:3")

    deliver_due()
    assert [heard.said["data"]["object_id"] for heard in receiver.heard] == ["3"]
    pass_time(seconds=fanout.SOON.total_seconds())
    deliver_due()

    assert sorted(heard.said["data"]["object_id"] for heard in receiver.heard) == ["2", "3"]
    assert Call.objects.filter(endpoint=endpoint).count() == 2


def test_enabled_again_it_hears_from_now_on(endpoint, receiver, cancel, deliver_due, pass_time):
    endpoints.switch(endpoint, on=False)
    cancel("order:1")
    Event.objects.filter(name="order.cancelled").update(occurred_at=timezone.now() - timedelta(seconds=1))

    endpoints.switch(endpoint, on=True)
    cancel("order:2")
    pass_time(minutes=5)
    deliver_due()

    assert [heard.said["data"]["object_id"] for heard in receiver.heard] == ["2"]


def test_killed_after_the_answer_it_is_called_again_under_the_same_id(endpoint, receiver, cancel, deliver_due):
    """The honest limit of any webhook: the other side tells a repetition by its id."""
    cancel()

    deliver_due(die=1.0)

    assert len({heard.headers["webhook-id"] for heard in receiver.heard}) == 1
    assert the_call().state == S.DELIVERED


def test_a_deleted_endpoint_takes_its_calls_along(endpoint, receiver, cancel, deliver_due):
    cancel()
    deliver_due()
    calls.resend(the_call())

    endpoints.remove(endpoint)
    deliver_due()

    assert (len(receiver.heard), Call.objects.count(), Delivery.objects.dead().count()) == (1, 0, 0)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("url", "http://127.0.0.1/", "no public address"),
        ("url", "nonsense", "must begin with https"),
        ("events", [], "at least one"),
        ("events", ["order.placed", "email.queued"], "no event email.queued"),
        ("events", ["nonsense"], "no event nonsense"),
    ],
)
def test_bad_values_are_refused_with_the_name_of_the_field(staff, field, value, says):
    good = {"url": "https://example.com/", "events": ["order.placed"]}

    with pytest.raises(Invalid, match=says) as refused:
        endpoints.open_endpoint(owner=staff, **(good | {field: value}))

    assert refused.value.field == field
    assert not Endpoint.objects.exists()


def test_a_customer_cannot_listen_to_what_is_never_theirs(customer):
    with pytest.raises(Invalid, match=r"no event delivery\.buried, user\.registered"):
        endpoints.open_endpoint(
            owner=customer, url="https://example.com/", events=["order.placed", "user.registered", "delivery.buried"]
        )


def test_there_is_a_limit_of_endpoints(staff):
    for _ in range(endpoints.MOST):
        endpoints.open_endpoint(owner=staff, url="https://example.com/", events=["order.placed"])

    with pytest.raises(Invalid, match="10 endpoints already"):
        endpoints.open_endpoint(owner=staff, url="https://example.com/", events=["order.placed"])


def test_old_calls_are_forgotten(endpoint, receiver, cancel, deliver_due):
    cancel()
    cancel()
    deliver_due()
    newest = Call.objects.latest("pk")
    Call.objects.exclude(pk=newest.pk).update(queued_at=timezone.now() - timedelta(days=31))

    assert calls.prune() == 1
    assert the_call() == newest


# -- what a hostile machine, or an unlucky moment, may do ---------------------------------------


def test_an_answer_full_of_zeros_is_a_failure_like_any_other(endpoint, receiver, cancel, deliver_due):
    receiver.answers = [lambda handler: handler.wfile.write(b"\x00\x01\x02\r\n\r\n")] * 5
    for _ in range(5):
        cancel()

    deliver_due()

    assert not Brake.objects.filter(handler="notifications.call_webhook", fails__gt=0).exists()
    assert Endpoint.objects.get().failures == calls.patience.RESTS_AT
    assert Call.objects.exclude(tries=[]).count() == 3


def test_one_that_never_answers_is_called_three_times_and_then_rests(
    endpoint, receiver, slow, cancel, deliver_due, monkeypatch
):
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.2)
    receiver.answers = [slow] * 100
    for _ in range(20):
        cancel()

    deliver_due()

    assert len(receiver.heard) == calls.patience.RESTS_AT


def test_one_that_is_slow_rests_four_times_as_long(endpoint, receiver, cancel, deliver_due, pass_rest, monkeypatch):
    monkeypatch.setattr(calls.patience, "SLOW", -1.0)
    monkeypatch.setattr(calls.patience, "SLOW_REST", 10_000)  # milliseconds are slow here
    for _ in range(3):
        cancel()

    deliver_due()
    assert len(receiver.heard) == 1
    for _ in range(3):
        pass_rest(hours=1)
        deliver_due()

    assert set(Call.objects.values_list("state", flat=True)) == {S.DELIVERED}


def test_no_more_than_two_are_called_at_once(endpoint, receiver, worker, cancel, deliver_due, pass_time):
    for _ in range(3):
        cancel()
    deliver_due()
    ours = Delivery.objects.filter(handler="notifications.call_webhook").order_by("pk")
    busy = list(ours.values_list("pk", flat=True)[:2])
    ours.filter(pk__in=busy).update(state="running", worker=worker, lease_until=timezone.now() + timedelta(minutes=5))
    receiver.heard.clear()
    cancel()

    deliver_due()
    assert receiver.heard == []
    ours.filter(pk__in=busy).update(state="done", finished_at=timezone.now())
    pass_time(seconds=5)
    deliver_due()

    assert len(receiver.heard) == 1


def test_an_edit_soon_after_opening_loses_nothing(staff, receiver, private, cancel, deliver_due, pass_time):
    own = endpoints.open_endpoint(owner=staff, url=receiver.url, events=["order.cancelled"])
    missed = cancel()
    Delivery.objects.filter(event=missed, queue="webhooks").delete()  # by a process that did not know yet
    endpoints.change(own, url=receiver.url, events=["order.cancelled", "order.placed"], description="Books")

    pass_time(seconds=fanout.SOON.total_seconds())
    deliver_due()

    assert len(receiver.heard) == 1


def test_a_transaction_of_minutes_is_found_by_the_second_look(staff, receiver, private, cancel, deliver_due, pass_time):
    endpoints.open_endpoint(owner=staff, url=receiver.url, events=["order.cancelled"])
    pass_time(seconds=fanout.SOON.total_seconds())
    deliver_due()
    missed = cancel()
    Delivery.objects.filter(event=missed, queue="webhooks").delete()

    pass_time(seconds=fanout.LATE.total_seconds())
    deliver_due()

    assert len(receiver.heard) == 1


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_who_may_not_know_any_more_is_not_told(endpoint, receiver, cancel, deliver_due, pass_rest, change):
    receiver.answers = [(500, "")]
    cancel()
    deliver_due()
    User.objects.update(**change)

    pass_rest(minutes=5)
    deliver_due()
    calls.resend(the_call())
    deliver_due()

    assert (len(receiver.heard), the_call().state) == (1, S.DROPPED)
    assert bool(calls.body_for(the_call(), User.objects.get())) is change.get("is_staff", True)


def test_a_buyer_sees_and_waits_for_nothing_of_it(endpoint, receiver, cancel, deliver_due):
    receiver.answers = [lambda handler: handler.wfile.write(b"the inside of a machine\r\n\r\n")]
    order = an_order("W-1")
    cancel(about=order)

    deliver_due()

    assert {effect.handler for effect in side_effects(order)} & {"notifications.call_webhook"} == set()
    assert "inside" not in Delivery.objects.get(handler="notifications.call_webhook").last_error


def test_deleted_while_it_is_called_is_no_failure(endpoint, receiver, cancel, deliver_due):
    def delete(handler):
        endpoints.remove(endpoint)
        handler.answer(500)

    receiver.answers = [delete]
    cancel()

    deliver_due()

    [done] = Delivery.objects.filter(handler="notifications.call_webhook")
    assert (done.state, Brake.objects.filter(handler="notifications.call_webhook", fails__gt=0).count()) == ("done", 0)


def test_disabled_while_it_is_called_stays_dropped(endpoint, receiver, cancel, deliver_due, pass_rest):
    def disable(handler):
        endpoints.switch(Endpoint.objects.get(), on=False)
        handler.answer(500)

    receiver.answers = [disable]
    cancel()

    deliver_due()

    assert the_call().state == S.DROPPED
    [done] = Delivery.objects.filter(handler="notifications.call_webhook")
    assert done.state == "done"


def test_a_call_whose_delivery_was_discarded_can_be_sent_again(endpoint, receiver, cancel, deliver_due):
    receiver.answers = [(500, "")]
    cancel()
    deliver_due()
    decisions.discard(delivery=Delivery.objects.get(handler="notifications.call_webhook"), by="person", reason="no")

    assert calls.resend(the_call())
    deliver_due()

    assert the_call().state == S.DELIVERED


def test_two_deliveries_never_drive_one_call(endpoint, receiver, cancel, deliver_due, pass_rest):
    receiver.answers = [(500, "")] * 9
    cancel()
    deliver_due()
    endpoints.switch(endpoint, on=False)
    endpoints.switch(endpoint, on=True)

    assert calls.resend(the_call())
    assert not calls.resend(the_call())
    heard = len(receiver.heard)
    deliver_due()
    pass_rest(minutes=1)
    deliver_due()

    assert len(receiver.heard) == heard + 2
    ours = Delivery.objects.filter(handler="notifications.call_webhook")
    assert sorted(ours.values_list("state", flat=True)) == ["done", "ready"]


def test_a_second_new_secret_within_a_day_is_refused(endpoint):
    deployed = endpoint.secret
    endpoints.rotate(endpoint)

    with pytest.raises(Invalid, match="less than a day ago"):
        endpoints.rotate(endpoint)

    assert deployed in endpoint.secrets(timezone.now())
    age_endpoint(old_secret_until=timedelta(seconds=1))
    endpoints.rotate(Endpoint.objects.get())


def test_of_two_new_secrets_at_once_one_is_shown(endpoint):
    other = Endpoint.objects.get()
    endpoints.rotate(other)

    with pytest.raises(Invalid):
        endpoints.rotate(endpoint)

    assert Endpoint.objects.get().secret == other.secret


def test_calls_that_were_under_way_together_fail_once(endpoint):
    now = timezone.now()
    bad = sending.Answer(status=500, text="", error="", seconds=0.1)
    for _ in range(calls.patience.RESTS_AT):
        calls.patience.note_failure(endpoint, bad, seen_rest=None)
    rest = endpoint.resting_until

    for _ in range(8):
        calls.patience.note_failure(endpoint, bad, seen_rest=None)

    assert (endpoint.failures, endpoint.resting_until) == (calls.patience.RESTS_AT, rest)
    assert rest < now + timedelta(seconds=10)


def test_another_address_begins_with_a_clean_sheet(endpoint, receiver, cancel, deliver_due):
    receiver.answers = [(500, "")] * 3
    for _ in range(3):
        cancel()
    deliver_due()
    age_endpoint(failing_since=timedelta(days=4))

    endpoints.change(Endpoint.objects.get(), url=f"{receiver.url}&new", events=["order.cancelled"], description="")

    one = Endpoint.objects.get()
    assert (one.failures, one.failing_since, one.resting_until, one.disabled_at) == (0, None, None, None)


def test_a_test_is_tried_at_once_though_it_rests(endpoint, receiver, cancel, deliver_due):
    receiver.answers = [(500, "")] * 3
    for _ in range(3):
        cancel()
    deliver_due()

    first = endpoints.send_test(endpoint)
    second = endpoints.send_test(endpoint)  # pressed twice
    deliver_due()

    assert first == second
    assert [heard.said["type"] for heard in receiver.heard].count("webhook.tested") == 1


def test_a_failure_after_a_long_silence_does_not_disable(endpoint, receiver, cancel, deliver_due):
    receiver.answers = [(500, "")]
    age_endpoint(failing_since=timedelta(days=90), last_failed_at=timedelta(days=88))
    cancel()

    deliver_due()

    one = Endpoint.objects.get()
    assert (one.disabled_at, one.failures) == (None, 1)
    assert one.failing_since > timezone.now() - timedelta(minutes=1)


def test_what_the_shop_disables_its_owner_cannot_enable(endpoint, deliver_due):
    endpoints.switch(endpoint, on=False, by_shop=True)
    deliver_due()

    with pytest.raises(Invalid, match="The shop has disabled"):
        endpoints.switch(endpoint, on=True)

    assert Endpoint.objects.get().disabled_why == "Disabled by the shop."
    assert Letter.objects.filter(template="notifications/endpoint_disabled").count() == 1
    endpoints.switch(endpoint, on=True, by_shop=True)
    assert Endpoint.objects.get().disabled_at is None
