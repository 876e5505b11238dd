"""The bank's events are what Stripe's own library accepts as Stripe's."""

import time
from collections.abc import Callable

import pytest
import stripe

from notifications.deadlines import within
from orders.gateways import stripe as gateway
from orders.gateways.bank import webhooks
from tests.bank.conftest import Bank, a_charge
from tests.bank.receiver import SECRET, Receiver


def test_a_charge_is_told_with_a_valid_signature(receiver: Receiver, open_bank: Callable[..., Bank]) -> None:
    open_bank(*receiver.options)
    request = a_charge()
    charged = gateway.charge(request)
    event = receiver.event()

    assert event.type == "payment_intent.succeeded"
    assert event.data.object.id == charged.gateway_id
    assert event.data.object.metadata.reference == request.reference


def test_a_decline_is_told(receiver: Receiver, open_bank: Callable[..., Bank]) -> None:
    open_bank(*receiver.options)
    gateway.charge(a_charge("pm_card_chargeDeclined"))
    event = receiver.event()

    assert event.type == "payment_intent.payment_failed"
    assert event.data.object.last_payment_error.decline_code == "generic_decline"


def test_a_late_success_is_told_twice(receiver: Receiver, open_bank: Callable[..., Bank]) -> None:
    open_bank("--late", "0.2", *receiver.options)
    with within(seconds=0.1):
        gateway.charge(a_charge("pm_bank_late_success"))

    first, second = receiver.event(), receiver.event()

    assert (first.id, first.type) == (second.id, "payment_intent.succeeded")


def test_an_event_that_is_not_taken_is_sent_again(receiver: Receiver, open_bank: Callable[..., Bank]) -> None:
    receiver.answers = [503]
    open_bank(*receiver.options)
    gateway.charge(a_charge())

    assert receiver.event().id == receiver.event().id


@pytest.mark.parametrize("age", [301, 3600])
def test_an_old_signature_is_refused_by_the_library(age: int) -> None:
    body = b'{"object": "event"}'
    header = webhooks.signature(body, SECRET, at=int(time.time()) - age)

    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, header, SECRET)


# -- events on their way ----------------------------------------------------------------------


@pytest.fixture
def telling(open_bank: Callable[..., Bank], receiver: Receiver) -> Bank:
    return open_bank("--playground", *receiver.options)


def ids(receiver: Receiver, times: int) -> list[str]:
    return [receiver.event().id for _ in range(times)]


def happened(bank: Bank) -> list[str]:
    return [event["id"] for event in bank.play("events").json["events"]]


def charge(times: int) -> None:
    for _ in range(times):
        gateway.charge(a_charge())


def test_events_may_come_several_times(telling: Bank, receiver: Receiver) -> None:
    telling.play("webhooks", mode="duplicate", copies=3)
    charge(1)

    assert ids(receiver, 3) == happened(telling) * 3


def test_events_may_come_in_reverse(telling: Bank, receiver: Receiver) -> None:
    telling.play("webhooks", mode="reverse")
    charge(3)
    assert receiver.got.empty()
    telling.play("webhooks", mode="normal")

    assert ids(receiver, 3) == happened(telling)[::-1]


def test_events_may_come_late(telling: Bank, receiver: Receiver) -> None:
    telling.play("webhooks", mode="delay", seconds=0.4)
    began = time.monotonic()
    charge(1)

    assert ids(receiver, 1) == happened(telling)
    assert time.monotonic() - began >= 0.4


def test_events_may_never_come_and_be_sent_again_by_hand(telling: Bank, receiver: Receiver) -> None:
    telling.play("webhooks", mode="never")
    charge(2)
    one, _ = happened(telling)
    assert receiver.got.empty()

    assert telling.play("events/resend", id=one, times=2).json == {"sent": 1}
    assert ids(receiver, 2) == [one, one]
    assert telling.play("events/resend").json == {"sent": 2}
    assert ids(receiver, 2) == happened(telling)
