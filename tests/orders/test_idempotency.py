"""The lease of a key: who repeats a request that died in flight waits for it, and then finishes its work."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from orders import idempotency
from orders.gateways import stripe
from orders.idempotency import LEASE, Key
from orders.models import IdempotencyKey, Order, PaymentAttempt
from tests.api.programs import Program, a_product, customer, sent
from tests.orders.conftest import left

ASKED = {"key": "once", "payment_method": "pm_card_visa"}


@pytest.fixture
def ada(transactional_db, bank):
    a_product()
    return Program(customer(), ["orders:read", "orders:write"])


def die(*_):
    raise SystemExit("killed")


@pytest.fixture(params=["before the bank was asked", "after the bank had charged"])
def killed(request, ada, monkeypatch):
    """A request whose process was killed in flight; the moment of its death is the tests' now."""
    charge = stripe.charge
    with monkeypatch.context() as crash:
        if request.param == "before the bank was asked":
            crash.setattr(stripe, "charge", die)
        else:
            crash.setattr(stripe, "charge", lambda asked: die(charge(asked)))
        with pytest.raises(SystemExit):
            ada.order(**ASKED)
    assert PaymentAttempt.objects.get().state == "in_flight"


def later(seconds):
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False)


@pytest.mark.usefixtures("killed")
def test_within_the_lease_a_repeat_is_told_to_wait(ada):
    with later(LEASE.total_seconds() - 2):
        answer = ada.order(**ASKED)

    assert (answer.status_code, sent(answer)["code"], answer["Retry-After"]) == (409, "in_progress", "1")
    assert PaymentAttempt.objects.get().state == "in_flight"


@pytest.mark.usefixtures("killed")
def test_after_the_lease_a_repeat_takes_over_and_finishes(ada, bank):
    with later(LEASE.total_seconds() + 1):
        answer = ada.order(**ASKED)
        again = ada.order(**ASKED)

    assert (answer.status_code, sent(answer)["status"], left("MUG-RED")) == (201, "paid", (99, 0))
    assert (again.status_code, sent(again), again["Idempotent-Replayed"]) == (201, sent(answer), "true")
    reference = str(PaymentAttempt.objects.get().pk)
    assert len(bank.ledger(kind="charge", reference=reference, status="succeeded")) == 1
    assert Order.objects.count() == 1


@pytest.mark.usefixtures("killed")
def test_a_lease_that_was_taken_over_is_waited_for_like_the_first(ada):
    row = IdempotencyKey.objects.get()
    key = Key(scope=row.scope, key=row.key, request_hash=row.request_hash)

    with later(LEASE.total_seconds() + 1):
        taken = [idempotency.take_over(key) for _ in range(2)]
        answer = ada.order(**ASKED)

    assert (taken, answer.status_code, sent(answer)["code"]) == ([True, False], 409, "in_progress")


def test_a_key_with_its_answer_has_nothing_to_take_over(ada):
    ada.order(**ASKED)
    row = IdempotencyKey.objects.get()

    with later(LEASE.total_seconds() + 1):
        assert not idempotency.take_over(Key(scope=row.scope, key=row.key, request_hash=row.request_hash))
