"""settle(): whoever calls it, in whatever order and however often, an attempt ends once."""

import threading

import pytest
from django.db import connection, transaction

from notifications.models import Event
from orders import inventory
from orders.gateways.base import Outcome, Status
from orders.inventory import set_on_hand
from orders.models import Order, OrderLine, PaymentAttempt, Product, Stock, StockHold, StockMovement
from orders.payments import settle
from orders.pricing import PricedLine


def said(status, *, amount=1490, currency="EUR"):
    taken = status in (Status.SUCCEEDED, Status.AUTHORIZED)
    return Outcome(
        status=status,
        gateway_id="pi_1",
        amount=amount if taken else None,
        currency=currency if taken else None,
        code="card_declined" if status is Status.DECLINED else "",
    )


@pytest.fixture
def attempt(transactional_db):
    """A placed order for one mug, its stock held, the bank about to be asked."""
    mug = Product.objects.create(sku="MUG", slug="mug", name="Mug", price=1490)
    set_on_hand(product=mug, on_hand=5, note="")
    with transaction.atomic():
        order = Order.objects.create(
            email="a@example.com",
            currency="EUR",
            subtotal=1490,
            shipping=0,
            total=1490,
            shipping_method="standard",
            shipping_address={},
            correlation_id="abc",
        )
        OrderLine.objects.create(
            order=order, product=mug, sku="MUG", name="Mug", unit_price=1490, quantity=1, total=1490
        )
        inventory.hold(order=order, lines=[PricedLine(product=mug, quantity=1, unit_price=1490)])
    return PaymentAttempt.objects.create(order=order, amount=1490, currency="EUR", payment_method="pm_card_visa")


def books():
    stock = Stock.objects.get()
    return Order.objects.get().status, PaymentAttempt.objects.get().state, stock.on_hand, stock.reserved


def events():
    return sorted(Event.objects.filter(subject__startswith="order:").values_list("name", flat=True))


@pytest.mark.parametrize(
    ("status", "left", "told"),
    [
        (Status.SUCCEEDED, ("paid", "succeeded", 4, 0), ["inventory.updated", "payment.received"]),
        (Status.DECLINED, ("declined", "declined", 5, 0), ["payment.failed"]),
        (Status.CANCELLED, ("expired", "expired", 5, 0), ["payment.failed"]),
        (Status.UNKNOWN, ("placed", "unknown", 5, 1), ["payment.unanswered"]),
        (Status.NOT_CHARGED, ("placed", "unknown", 5, 1), ["payment.unanswered"]),
        (Status.REQUIRES_ACTION, ("placed", "requires_action", 5, 1), ["payment.unanswered"]),
    ],
)
def test_each_outcome_leaves_its_books_and_is_told_once(attempt, status, left, told):
    settle(attempt_id=attempt.pk, outcome=said(status))
    settle(attempt_id=attempt.pk, outcome=said(status))

    assert books() == left
    assert events() == told


@pytest.mark.parametrize("late", [Status.DECLINED, Status.UNKNOWN, Status.CANCELLED, Status.NOT_CHARGED])
def test_nothing_that_comes_late_takes_a_payment_back(attempt, late):
    settle(attempt_id=attempt.pk, outcome=said(Status.SUCCEEDED))
    settle(attempt_id=attempt.pk, outcome=said(late))

    assert books() == ("paid", "succeeded", 4, 0)
    assert events() == ["inventory.updated", "payment.received"]


def test_an_unknown_outcome_becomes_the_true_one(attempt):
    settle(attempt_id=attempt.pk, outcome=said(Status.UNKNOWN))
    settle(attempt_id=attempt.pk, outcome=said(Status.SUCCEEDED))

    assert books() == ("paid", "succeeded", 4, 0)


@pytest.mark.parametrize("wrong", [{"amount": 1590}, {"currency": "USD"}])
def test_money_that_is_not_what_was_agreed_makes_no_order_paid(attempt, wrong):
    settle(attempt_id=attempt.pk, outcome=said(Status.SUCCEEDED, **wrong))

    assert books() == ("refund_due", "mismatch", 5, 0)
    assert events() == ["payment.mismatched", "refund.requested"]


@pytest.mark.parametrize("wrong", [{"amount": 1590}, {"currency": "USD"}])
def test_money_held_that_is_not_what_was_agreed_is_let_go_and_makes_no_order_paid(attempt, wrong):
    settle(attempt_id=attempt.pk, outcome=said(Status.AUTHORIZED, **wrong))
    settle(attempt_id=attempt.pk, outcome=said(Status.AUTHORIZED, **wrong))
    assert books() == ("placed", "unknown", 5, 1)  # until the bank has let it go

    settle(attempt_id=attempt.pk, outcome=said(Status.CANCELLED))

    assert books() == ("declined", "mismatch", 5, 0)
    assert events() == ["payment.failed", "payment.mismatched", "payment.unanswered"]
    assert Order.objects.get().payment_status == "declined"


def test_eight_settlements_at_once_are_one_sale(attempt):
    start, errors = threading.Barrier(8), []

    def settle_it():
        start.wait()
        try:
            settle(attempt_id=attempt.pk, outcome=said(Status.SUCCEEDED))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=settle_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert books() == ("paid", "succeeded", 4, 0)
    assert events() == ["inventory.updated", "payment.received"]
    assert [hold.state for hold in StockHold.objects.all()] == ["sold"]
    assert [move.quantity for move in StockMovement.objects.order_by("id")] == [5, -1]
