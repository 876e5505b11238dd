"""What the gateway tells by itself: only what it signed, each event once, and nothing that is outdated."""

import json
import threading
import time
import uuid

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.utils import timezone

from notifications.models import Delivery, Event, Letter
from orders import intake
from orders.gateways import stripe
from orders.gateways.bank.webhooks import signature
from orders.models import Difference, GatewayEvent, Order, PaymentAttempt, Refund, StatusChange
from orders.payments import charge_of
from tests.orders.conftest import follow_up, left, status_of

SECRET = "whsec_0123456789abcdef0123456789"
URL = "/webhooks/stripe/"


@pytest.fixture(autouse=True)
def secret(settings):
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]


def event(type, said, *, id=None):
    facts = {"id": id or f"evt_{uuid.uuid4().hex}", "type": type, "created": int(time.time())}
    return json.dumps({**facts, "object": "event", "data": {"object": said}}).encode()


def intent(attempt, status="succeeded", *, amount=None, currency="eur", **more):
    return {
        "id": attempt.gateway_id or "pi_told",
        "object": "payment_intent",
        "status": status,
        "amount": attempt.amount,
        "amount_received": (attempt.amount if amount is None else amount) if status == "succeeded" else 0,
        "currency": currency,
        "metadata": {"reference": str(attempt.pk)},
        **more,
    }


def send(client, body, *, secret=SECRET, at=None, header=None):
    stamped = header if header is not None else signature(body, secret, at=at)
    return client.post(URL, data=body, content_type="application/json", headers={"Stripe-Signature": stamped})


@pytest.fixture
def waiting(buy):
    """An order whose payment waits for the buyer's approval."""
    buy(card="pm_card_authenticationRequired")
    return PaymentAttempt.objects.get()


def test_money_that_was_taken_makes_the_order_paid_once(client, waiting):
    body = event("payment_intent.succeeded", intent(waiting))

    assert [send(client, body).status_code for _ in range(3)] == [200, 200, 200]

    assert (status_of(waiting.order), left("MUG")) == ("paid", (8, 0))
    assert GatewayEvent.objects.get().state == "applied"
    assert StatusChange.objects.filter(to_status="paid").count() == 1


def test_the_same_event_many_times_at_once_is_one_transition(client, waiting):
    body = event("payment_intent.succeeded", intent(waiting))
    start, answers = threading.Barrier(20), []

    def post():
        start.wait()
        answers.append(intake.receive(body=body, signature=signature(body, SECRET)))
        connection.close()

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [False] * 19 + [True]
    assert Event.objects.filter(name="payment.received").count() == 1


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": "whsec_another0123456789abcdef"},
        {"header": ""},
        {"header": "t=1,v1="},
        {"at": int(time.time()) - 3600},
        {"at": int(time.time()) + 3600},
    ],
)
def test_what_the_gateway_did_not_sign_now_changes_nothing(client, waiting, forged):
    answer = send(client, event("payment_intent.succeeded", intent(waiting)), **forged)

    assert answer.status_code == 400
    assert (status_of(waiting.order), GatewayEvent.objects.count()) == ("placed", 0)


def test_a_signature_is_over_the_very_bytes(client, waiting):
    body = event("payment_intent.succeeded", intent(waiting))

    assert send(client, body + b" ", header=signature(body, SECRET)).status_code == 400


def test_two_secrets_hold_while_one_replaces_the_other(client, waiting, settings):
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_the_new_one_0123456789", SECRET]

    assert send(client, event("payment_intent.succeeded", intent(waiting))).status_code == 200


@pytest.mark.parametrize("secrets", [[], [""], ["short"]])
def test_without_a_secret_all_is_turned_away_and_the_check_fails(client, settings, secrets, db):
    settings.STRIPE_WEBHOOK_SECRETS = secrets

    assert send(client, b"{}", secret="").status_code == 503
    assert [problem.id for problem in run_checks()] == ["orders.E001"]


def test_ten_megabytes_are_not_read(client, db):
    assert send(client, b"x" * 10_000_000).status_code == 413


def test_only_post(client, db):
    assert client.get(URL).status_code == 405


def test_late_news_of_a_failure_does_not_take_a_payment_back(client, buy):
    order = buy()
    attempt = PaymentAttempt.objects.get()

    send(client, event("payment_intent.payment_failed", intent(attempt, "requires_payment_method")))
    send(client, event("payment_intent.canceled", intent(attempt, "canceled")))

    assert status_of(order) == "paid"
    assert {kept.state for kept in GatewayEvent.objects.all()} == {"ignored"}


def test_news_of_a_failure_is_a_hint_and_the_gateway_is_asked(client, waiting):
    said = intent(waiting, "requires_payment_method", last_payment_error={"code": "card_declined"})
    send(client, event("payment_intent.payment_failed", said))

    assert status_of(waiting.order) == "placed"
    assert Event.objects.filter(name="payment.unanswered").count() == 2


def test_an_event_about_nobody_is_kept_told_and_applied_when_its_payment_appears(client, buy):
    order = buy(card="pm_card_authenticationRequired")
    attempt = PaymentAttempt.objects.get()
    body = event("payment_intent.succeeded", intent(attempt))
    known = attempt.pk
    PaymentAttempt.objects.filter(pk=known).update(id=uuid.uuid4(), gateway_id=None)

    assert send(client, body).status_code == 200
    assert (GatewayEvent.objects.get().state, Difference.objects.open().get().kind) == ("unmatched", "unmatched_event")
    PaymentAttempt.objects.update(id=known)
    assert intake.match_again() == 1

    assert (status_of(order), GatewayEvent.objects.get().state) == ("paid", "applied")
    assert not Difference.objects.open().exists()


def test_another_amount_than_agreed_is_given_back(client, buy, bank, in_order):
    order = buy(card="pm_bank_wrong_amount")
    assert order.status == "refund_due"
    follow_up()

    assert (status_of(order), left("MUG")) == ("refunded", (10, 0))
    assert (Refund.objects.get().amount, Refund.objects.get().state) == (order.total + 100, "done")
    assert in_order() == {}


def test_another_amount_held_than_agreed_is_let_go_and_the_buyer_told_once(settings, buy, bank, deliver_due, in_order):
    settings.CAPTURE_ON_SHIPMENT = True
    order = buy(card="pm_bank_wrong_amount")
    assert (order.status, left("MUG")) == ("placed", (10, 2))

    follow_up()
    deliver_due()

    attempt = PaymentAttempt.objects.get()
    assert (status_of(order), attempt.state, left("MUG")) == ("declined", "mismatch", (10, 0))
    assert [entry["kind"] for entry in bank.ledger(reference=str(attempt.pk))] == ["authorize", "void"]
    letters = Letter.objects.filter(to=order.email)
    assert list(letters.values_list("template", flat=True)) == ["orders/wrong_amount"]
    assert "nothing is charged" in letters.get().subject
    assert in_order() == {}


def test_news_of_a_hold_of_another_amount_lets_it_go(client, settings, buy, bank, in_order):
    settings.CAPTURE_ON_SHIPMENT = True
    order = buy(card="pm_card_authenticationRequired")
    attempt = PaymentAttempt.objects.get()
    held = intent(attempt, "requires_capture", amount_capturable=attempt.amount + 100)

    send(client, event("payment_intent.amount_capturable_updated", held))
    follow_up()

    assert (status_of(order), PaymentAttempt.objects.get().state, left("MUG")) == ("declined", "mismatch", (10, 0))
    assert in_order() == {}


def test_news_that_the_bank_let_go_of_held_money_undoes_the_order(client, settings, buy, deliver_due, in_order):
    settings.CAPTURE_ON_SHIPMENT = True
    order = buy()
    attempt = PaymentAttempt.objects.get()
    stripe.cancel(charge_of(attempt), gateway_id=attempt.gateway_id)

    send(client, event("payment_intent.canceled", intent(attempt, "canceled")))
    Delivery.objects.filter(handler="orders.ask_gateway").update(available_at=timezone.now())
    deliver_due()

    assert (status_of(order), PaymentAttempt.objects.get().state, left("MUG")) == ("expired", "expired", (10, 0))
    assert in_order() == {}


# -- money that comes late --------------------------------------------------------------------


@pytest.fixture
def lost(buy, bank):
    """An order that was called off because nobody approved the payment."""

    def made(**more):
        order = buy(card="pm_card_authenticationRequired", **more)
        attempt = PaymentAttempt.objects.get(order=order)
        PaymentAttempt.objects.filter(pk=attempt.pk).update(started_at=timezone.now() - timezone.timedelta(minutes=16))
        follow_up()
        assert (status_of(order), left("MUG")) == ("expired", (10, 0))
        bank.play("dashboard/charge", intent=attempt.gateway_id)
        return order, event("payment_intent.succeeded", intent(attempt))

    return made


def test_late_money_is_honoured_while_the_goods_are_there(client, lost, in_order):
    order, body = lost()

    send(client, body)

    assert (status_of(order), left("MUG")) == ("paid", (8, 0))
    assert in_order() == {}


def test_late_money_for_what_is_gone_goes_back(client, lost, buy, in_order):
    order, body = lost()
    buy(mugs=9)

    send(client, body)
    assert status_of(order) == "refund_due"
    follow_up()

    assert (status_of(order), Refund.objects.get().cause, left("MUG")) == ("refunded", "late", (1, 0))
    assert Event.objects.filter(name="payment.came_late").count() == 1
    assert in_order() == {}


def test_late_money_for_a_cart_that_was_bought_anew_goes_back(client, lost, buy, in_order):
    order, body = lost(cart_token="cart")
    again = buy(cart_token="cart")

    send(client, body)
    follow_up()

    assert (status_of(order), status_of(again)) == ("refunded", "paid")
    assert in_order() == {}


# -- refunds made by hand at the gateway ------------------------------------------------------


def test_a_refund_made_at_the_gateway_arrives_in_our_books(client, buy, bank, deliver_due, in_order):
    order = buy()
    attempt = PaymentAttempt.objects.get()
    made = bank.play("dashboard/refund", intent=attempt.gateway_id, amount=1000)

    send(client, event("refund.created", made))
    deliver_due()

    refund = Refund.objects.get()
    assert (refund.amount, refund.state, refund.cause) == (1000, "done", "gateway")
    assert Order.objects.get(pk=order.pk).payment_status == "partly_refunded"
    assert in_order() == {}
