"""Money that goes back: never more than was taken, each refund once, whatever the bank answers."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from notifications.models import Event
from orders import refunds, repayment
from orders.books.ledger import Ledger
from orders.books.money import charges_have_orders
from orders.fulfilment import cancel
from orders.gateways.base import RefundOutcome, RefundStatus
from orders.idempotency import Key, KeyReused
from orders.models import Invoice, OrderLine, PaymentAttempt, Refund, StockMovement
from orders.refunds import BadUnits, OverRefund, Units, refund
from orders.status import WrongStatus
from tests.orders.conftest import follow_up, left, status_of

TOTAL = 2 * 1490 + 2500 + 490


def given_back(bank, order):
    attempts = [str(attempt.pk) for attempt in order.attempts.all()]
    entries = bank.ledger(kind="refund", status="succeeded")
    return sum(entry["amount"] for entry in entries if entry["reference"] in attempts)


def test_all_of_it_goes_back_and_the_order_is_refunded(buy, bank, in_order):
    order = buy()

    [made] = refund(order=order, reason="a gift")

    assert (made.state, made.amount, status_of(order)) == ("done", TOTAL, "refunded")
    assert given_back(bank, order) == TOTAL
    assert Invoice.objects.get(kind="credit_note").amount == TOTAL
    assert Event.objects.filter(name="payment.refunded").count() == 1
    assert in_order() == {}


def test_a_part_leaves_the_order_paid_and_says_so(buy, bank, in_order):
    order = buy()

    refund(order=order, amount=500, reason="late")

    order.refresh_from_db()
    assert (order.status, order.payment_status, given_back(bank, order)) == ("paid", "partly_refunded", 500)
    assert in_order() == {}


def test_more_than_is_left_is_refused_and_nothing_happens(buy, bank, in_order):
    order = buy()
    refund(order=order, amount=TOTAL - 100)

    with pytest.raises(OverRefund) as refusal:
        refund(order=order, amount=101)

    assert refusal.value.left == 100
    assert (Refund.objects.count(), given_back(bank, order)) == (1, TOTAL - 100)
    assert in_order() == {}


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_no_refund(buy, amount):
    with pytest.raises(OverRefund):
        refund(order=buy(), amount=amount)


@pytest.mark.parametrize("what", [{}, {"lines": [Units(sku="MUG", quantity=1)]}])
def test_what_was_never_sold_does_not_come_to_the_shelf(buy, in_order, what):
    """The bank took another amount than agreed: all of it goes back by itself, and the goods never left the shelf."""
    order = buy(card="pm_bank_wrong_amount")
    before = left("MUG")

    with pytest.raises((OverRefund, WrongStatus)):
        refund(order=order, restock=True, **what)

    assert left("MUG") == before
    assert in_order() == {}


def test_lines_go_back_to_the_shelf_when_asked(buy, in_order):
    order = buy()

    [made] = refund(order=order, lines=[Units(sku="MUG", quantity=1)], restock=True)

    line = OrderLine.objects.get(sku="MUG")
    assert (made.amount, left("MUG"), line.shippable, line.restocked) == (1490, (9, 0), 1, 1)
    assert StockMovement.objects.get(reason="cancelled").quantity == 1
    assert in_order() == {}


def test_lines_that_cannot_be_sold_again_stay_off_the_shelf(buy, in_order):
    refund(order=buy(), lines=[Units(sku="MUG", quantity=2)])

    assert left("MUG") == (8, 0)
    assert in_order() == {}


@pytest.mark.parametrize(("sku", "count"), [("MUG", 3), ("MUG", 0), ("HAT", 1)])
def test_units_that_were_not_bought_are_refused(buy, sku, count):
    with pytest.raises(BadUnits):
        refund(order=buy(), lines=[Units(sku=sku, quantity=count)])

    assert OrderLine.objects.filter(refunded__gt=0).count() == Refund.objects.count() == 0


def test_the_parts_of_a_line_add_up_to_the_line(buy, in_order):
    order = buy(mugs=3, prints=0)
    OrderLine.objects.update(discount=1)  # 4469 for three

    amounts = [refund(order=order, lines=[Units(sku="MUG", quantity=1)])[0].amount for _ in range(3)]

    assert sorted(amounts) == [1489, 1490, 1490]


def test_the_same_key_is_the_same_refund(buy, bank):
    order, key = buy(), Key(scope="staff:1", key="k", request_hash="h")

    first, again = refund(order=order, amount=700, key=key), refund(order=order, amount=700, key=key)

    assert [one.pk for one in first] == [one.pk for one in again]
    assert given_back(bank, order) == 700
    with pytest.raises(KeyReused):
        refund(order=order, amount=700, key=Key(scope="staff:1", key="k", request_hash="other"))


@pytest.mark.parametrize("mode", ["drop_before", "drop_after", "500_after", "garbage", "409", "429"])
def test_a_bank_that_does_not_answer_gives_back_once_in_the_end(buy, bank, mode, in_order):
    order = buy()
    bank.play("faults", path="refund", mode=mode, times=1)

    [made] = refund(order=order, amount=900)
    while Refund.objects.open().exists():
        follow_up()

    assert made.state in ("unknown", "done")
    assert (Refund.objects.get().state, given_back(bank, order)) == ("done", 900)
    assert in_order() == {}


def test_a_refund_that_the_bank_refuses_can_be_asked_for_again(buy, bank, in_order):
    order = buy()
    [intent] = PaymentAttempt.objects.values_list("gateway_id", flat=True)
    bank.play("dashboard/refund", intent=intent, amount=TOTAL)

    [made] = refund(order=order, amount=900)

    assert (made.state, PaymentAttempt.objects.get().refunded) == ("failed", 0)
    assert Event.objects.filter(name="refund.failed").count() == 1


def test_an_order_that_was_not_paid_has_nothing_to_give_back(buy):
    order = buy(card="pm_bank_error_after_charge")

    with pytest.raises(WrongStatus):
        refund(order=order)


def test_eight_at_once_never_give_back_more_than_was_taken(buy, bank, in_order):
    order, start, made = buy(), threading.Barrier(8), []

    def give_back():
        start.wait()
        try:
            made.extend(refund(order=order, amount=2000))
        except OverRefund:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=give_back) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(made), given_back(bank, order)) == (2, 4000)
    assert in_order() == {}


def test_the_database_itself_refuses_to_give_back_too_much(buy):
    buy()

    with pytest.raises(IntegrityError), transaction.atomic():
        PaymentAttempt.objects.update(refunded=F("captured") + 1)


def test_what_was_decided_is_done_by_its_event_when_the_process_died(buy, bank, deliver_due, monkeypatch, in_order):
    order = buy()
    monkeypatch.setattr(refunds, "carry_out", lambda refund_id: None)
    refund(order=order, amount=300)
    monkeypatch.setattr("orders.handlers.seconds", lambda _: None)
    assert given_back(bank, order) == 0

    [pending] = Refund.objects.open()
    repayment.carry_out(refund_id=pending.pk)

    assert given_back(bank, order) == 300
    assert in_order() == {}


def test_the_same_line_named_twice_is_asked_for_as_a_whole(buy, in_order):
    with pytest.raises(BadUnits):
        refund(order=buy(), lines=[Units(sku="MUG", quantity=1), Units(sku="MUG", quantity=2)])

    assert Refund.objects.count() == 0


def test_a_refund_on_its_way_is_looked_up_until_it_has_arrived(buy, bank, in_order):
    order = buy(card="pm_card_pendingRefund")
    [made] = refund(order=order, amount=400)
    assert made.state == "pending"

    bank.play("faults", path="refund", mode="500_before", times=None)  # its key would say "pending" for a day
    repayment.carry_out(refund_id=made.pk)

    made.refresh_from_db()
    assert made.state in ("pending", "done")
    assert made.code != "unknown"


def older(made, seconds):
    Refund.objects.filter(pk=made.pk).update(created_at=F("created_at") - timedelta(seconds=seconds))


def test_a_refund_over_which_the_gateway_broke_down_is_asked_for_under_another_key(buy, bank, in_order):
    order = buy()
    bank.play("faults", path="refund", mode="500_before", times=1)
    [made] = refund(order=order, amount=400)
    for _ in range(2):  # the bank repeats its error under the key; until the first request is surely over, so do we
        follow_up()
        made.refresh_from_db()
        assert (made.state, made.spent_keys) == ("unknown", 0)

    older(made, 21)
    follow_up()
    follow_up()

    made.refresh_from_db()
    assert (made.state, made.spent_keys, given_back(bank, order)) == ("done", 1, 400)
    assert in_order() == {}


def test_a_refund_that_was_given_before_the_gateway_broke_down_is_not_given_again(buy, bank, in_order):
    order = buy()
    bank.play("faults", path="refund", mode="500_after", times=1)
    [made] = refund(order=order, amount=400)

    older(made, 21)
    follow_up()

    made.refresh_from_db()
    assert (made.state, made.spent_keys, given_back(bank, order)) == ("done", 0, 400)
    assert in_order() == {}


def test_money_that_went_back_twice_in_the_telling_has_one_credit_note(buy):
    [made] = refund(order=buy(), amount=400)
    told = {"gateway_id": made.gateway_id, "amount": 400, "currency": "EUR"}
    repayment.settle_refund(refund_id=made.pk, outcome=RefundOutcome(status=RefundStatus.FAILED, **told))

    repayment.settle_refund(refund_id=made.pk, outcome=RefundOutcome(status=RefundStatus.DONE, **told))

    made.refresh_from_db()
    assert (made.state, made.attempt.refunded, Invoice.objects.filter(kind="credit_note").count()) == ("done", 400, 1)


def test_each_refund_that_worked_makes_one_good_that_did_not(buy):
    order = buy()
    attempt = order.attempts.get()
    told = [("failed", 500), ("failed", 500), ("done", 500), ("failed", 500), ("done", 400)]
    for age, (state, amount) in zip(range(5, 0, -1), told, strict=True):
        moment = timezone.now() - timedelta(minutes=age)
        facts = {"state": state, "amount": amount, "created_at": moment, "finished_at": moment}
        Refund.objects.create(order=order, attempt=attempt, currency="EUR", **facts)

    assert [Refund.objects.lost().count(), attempt.refunds.lost().count()] == [2, 2]


def test_money_that_a_bank_would_not_take_back_is_known_to_be_owed_and_no_riddle(buy):
    """The gateway called it done, and its buyer's bank sent it back: a person has to find another way."""
    order = cancel(order=buy())
    [made] = order.refunds.all()
    kept = Ledger(charged={str(made.attempt_id): [(TOTAL, "EUR")]}, refunded={}, refunds={})
    assert list(charges_have_orders(kept)) == [f"{order}: the bank has the money, the order is cancelled"]

    repayment.settle_refund(refund_id=made.pk, outcome=RefundOutcome(status=RefundStatus.FAILED))
    assert list(charges_have_orders(kept)) == []

    Refund.objects.filter(pk=made.pk).update(amount=100)  # what is not owed by a refund is a riddle still
    assert len(list(charges_have_orders(kept))) == 1
