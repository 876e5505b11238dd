"""Cancel, refund, ship and take back for programs, over the real bank."""

import threading

import pytest
from django.db import IntegrityError, connection

from orders import fulfilment, idempotency, payments
from orders.checkout import Item
from orders.editing import edit
from orders.gateways import stripe
from orders.gateways.base import RefundOutcome, RefundStatus
from orders.models import IdempotencyKey, Order, OrderLine, PaymentAttempt, Refund, Shipment, Stock
from tests.api.programs import Program, a_product, customer, sent, staff
from tests.orders.conftest import follow_up

PROBLEM = "application/problem+json"
TOTAL = 4360  # three mugs and delivery


@pytest.fixture
def shelf(transactional_db):
    return a_product()


@pytest.fixture
def ada(shelf, bank):
    return Program(customer(), ["orders:read", "orders:write"])


@pytest.fixture
def boss(shelf, bank):
    return Program(staff())


@pytest.fixture
def order(ada):
    """Three mugs, paid."""
    return bought(ada)


def bought(program, *, quantity=3, **more):
    answer = program.order(items=[{"sku": "MUG-RED", "quantity": quantity}], **more)
    return sent(answer) | {"status_code": answer.status_code}


def ask(program, order, what, *, key="decide", **body):
    return program.post(f"orders/{order['number']}/{what}/", body, **{"Idempotency-Key": key})


def mugs(quantity):
    return [{"sku": "MUG-RED", "quantity": quantity}]


def given_back(bank):
    ours = {str(pk) for pk in PaymentAttempt.objects.values_list("pk", flat=True)}
    return sum(line["amount"] for line in bank.ledger(kind="refund") if line["reference"] in ours)


def refused(answer, status, code):
    body = sent(answer)
    assert (answer.status_code, answer["Content-Type"], body["code"]) == (status, PROBLEM, code), body
    return body


def at_once(*doings):
    start, said = threading.Barrier(len(doings)), [None] * len(doings)

    def run(index, doing):
        start.wait()
        said[index] = doing()
        connection.close()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(doings)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


# -- refunds ----------------------------------------------------------------------------------


def test_an_amount_goes_back_once_and_the_answer_tells_of_refund_and_order(boss, order, bank):
    answer = ask(boss, order, "refunds", amount=500, reason="a scratch")

    body = sent(answer)
    [made] = body["refunds"]
    assert (answer.status_code, made["status"], made["reason"], made["lines"]) == (201, "done", "a scratch", [])
    assert made["amount"] == {"amount": 500, "currency": "EUR"}
    assert body["order"]["payment_status"] == "partly_refunded"
    assert body["order"]["refunds"] == [made]
    assert [one["kind"] for one in body["order"]["invoices"]] == ["invoice", "credit_note"]
    assert given_back(bank) == 500
    assert sent(boss.get(f"orders/{order['number']}/refunds/"))["results"] == [made]


def test_units_go_back_for_what_they_cost_and_can_be_sold_again(boss, order):
    answer = ask(boss, order, "refunds", lines=mugs(2), reason="too many", restock=True)

    [made] = sent(answer)["refunds"]
    [line] = sent(answer)["order"]["lines"]
    assert (made["amount"]["amount"], made["lines"]) == (2580, mugs(2))
    assert (line["cancelled"], line["refunded"], line["shipped"], line["returned"]) == (2, 2, 0, 0)
    assert Stock.objects.get().on_hand == 99


def test_without_amount_and_lines_all_that_is_left_goes_back(boss, order, bank):
    ask(boss, order, "refunds", key="part", amount=60, reason="goodwill")

    answer = ask(boss, order, "refunds", key="rest", reason="goodwill")

    assert sent(answer)["refunds"][0]["amount"]["amount"] == TOTAL - 60
    assert sent(answer)["order"]["status"] == "refunded"
    assert given_back(bank) == TOTAL


def test_more_than_is_left_is_409_and_says_what_is_left(boss, order, bank):
    ask(boss, order, "refunds", key="part", amount=4000, reason="x")

    body = refused(ask(boss, order, "refunds", amount=361, reason="x"), 409, "over_refund")

    assert body["left"] == {"amount": 360, "currency": "EUR"}
    assert given_back(bank) == 4000


def test_money_that_is_only_held_cannot_be_given_back(boss, ada, settings):
    settings.CAPTURE_ON_SHIPMENT = True
    order = bought(ada)

    body = refused(ask(boss, order, "refunds", reason="x"), 409, "over_refund")

    assert (order["status_code"], order["payment_status"]) == (201, "authorized")
    assert "only held" in body["detail"]


def test_units_that_were_not_bought_are_409_and_named(boss, order):
    body = refused(ask(boss, order, "refunds", lines=mugs(4), reason="x"), 409, "not_enough_units")

    assert (body["sku"], body["wanted"], body["left"]) == ("MUG-RED", 4, 3)


def test_an_unpaid_order_is_409(boss, ada):
    order = bought(ada, payment_method="pm_card_authenticationRequired")

    refused(ask(boss, order, "refunds", reason="x"), 409, "wrong_status")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": 0, "reason": "x"}, "amount"),
        ({"amount": -1, "reason": "x"}, "amount"),
        ({"amount": "5", "reason": "x"}, "amount"),
        ({"amount": 2**31, "reason": "x"}, "amount"),
        ({"amount": 5}, "reason"),
        ({"lines": [], "reason": "x"}, "lines"),
        ({"lines": mugs(1) * 2, "reason": "x"}, "lines"),
        ({"lines": mugs(0), "reason": "x"}, "lines[0].quantity"),
        ({"restock": "yes", "reason": "x"}, "restock"),
    ],
)
def test_a_field_that_is_not_right_is_400_and_nothing_happens(boss, order, bank, body, field):
    answer = ask(boss, order, "refunds", **body)

    assert {error["field"] for error in refused(answer, 400, "invalid")["errors"]} == {field}
    assert given_back(bank) == 0


def test_a_refund_requires_a_key(boss, order):
    refused(boss.post(f"orders/{order['number']}/refunds/", {"reason": "x"}), 400, "invalid")


def test_what_is_shipped_and_taken_back_without_a_key_is_done_each_time(boss, order):
    post = f"orders/{order['number']}/".__add__
    parcel = {"carrier": "PostNL", "lines": mugs(1)}
    back = {"lines": mugs(1), "restock": True, "refund": True}

    assert [boss.post(post("shipments/"), parcel).status_code for _ in range(3)] == [201, 201, 201]
    assert [boss.post(post("returns/"), back).status_code for _ in range(2)] == [201, 201]

    refused(boss.post(post("shipments/"), parcel), 409, "wrong_status")
    assert not IdempotencyKey.objects.filter(made__startswith="shipment").exists()
    assert (OrderLine.objects.get().shipped, OrderLine.objects.get().returned) == (3, 2)


def test_without_a_key_an_order_is_cancelled_and_the_next_request_is_refused(boss, order, bank):
    first = boss.post(f"orders/{order['number']}/cancel/", {})

    assert (first.status_code, sent(first)["status"], given_back(bank)) == (200, "cancelled", TOTAL)
    refused(boss.post(f"orders/{order['number']}/cancel/", {}), 409, "wrong_status")


def test_without_a_key_what_the_bank_has_not_answered_is_202(boss, order, monkeypatch):
    monkeypatch.setattr(stripe, "refund", lambda _: RefundOutcome(status=RefundStatus.UNKNOWN))

    first = boss.post(f"orders/{order['number']}/cancel/", {})

    assert (first.status_code, first["Retry-After"]) == (202, "2")


@pytest.mark.parametrize("key", ["", "two words", "x" * 65, "é"])
@pytest.mark.parametrize("what", ["cancel", "refunds", "shipments"])
def test_a_key_that_is_not_one_is_400(boss, order, what, key):
    refused(ask(boss, order, what, key=key, reason="x"), 400, "invalid")
    assert Order.objects.get().status == "paid"


def test_a_bank_that_does_not_answer_is_202_and_a_repeat_tells_how_it_ended(boss, order, bank, monkeypatch):
    with monkeypatch.context() as silence:
        silence.setattr(stripe, "refund", lambda _: RefundOutcome(status=RefundStatus.UNKNOWN))
        first = ask(boss, order, "refunds", amount=900, reason="x")
    follow_up()
    again = ask(boss, order, "refunds", amount=900, reason="x")

    assert (first.status_code, first["Retry-After"]) == (202, "2")
    assert sent(first)["refunds"][0]["status"] == "unknown"
    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert sent(again)["refunds"][0]["status"] == "done"
    assert given_back(bank) == 900


def test_a_refund_of_two_payments_is_two_refunds_under_one_key(boss, order, bank):
    a_product("CUP", price=2000)
    placed = Order.objects.get()
    edit(order=placed, lines=[Item(sku="MUG-RED", quantity=3), Item(sku="CUP", quantity=1)], reason="one more")

    first = ask(boss, order, "refunds", reason="all of it")
    again = ask(boss, order, "refunds", reason="all of it")

    assert first.status_code == 201, first.content
    assert sorted(one["amount"]["amount"] for one in sent(first)["refunds"]) == [2000, TOTAL]
    assert sent(again) == sent(first)
    assert given_back(bank) == TOTAL + 2000


# -- one key, one answer ----------------------------------------------------------------------


def test_a_repeat_gives_the_same_answer_and_no_more_money(boss, order, bank):
    first = ask(boss, order, "refunds", amount=500, reason="x")
    again = ask(boss, order, "refunds", amount=500, reason="x")

    assert (again.status_code, sent(again), again["Idempotent-Replayed"]) == (201, sent(first), "true")
    assert "Idempotent-Replayed" not in first
    assert given_back(bank) == 500


def test_a_refusal_is_given_again_though_it_would_be_possible_by_now(boss, ada):
    order = bought(ada, payment_method="pm_bank_error_after_charge")
    first = ask(boss, order, "shipments", carrier="PostNL")
    follow_up()

    again = ask(boss, order, "shipments", carrier="PostNL")

    assert sent(again) == refused(first, 409, "wrong_status")
    assert (again["Idempotent-Replayed"], Order.objects.get().status) == ("true", "paid")


def test_a_key_belongs_to_one_body_and_one_order(boss, ada, order, bank):
    other = bought(ada)
    ask(boss, order, "refunds", amount=500, reason="x")

    for elsewhere, what, amount in ((order, "refunds", 501), (other, "refunds", 500), (order, "returns", 500)):
        more = {"lines": mugs(1), "restock": True, "refund": True} if what == "returns" else {"amount": amount}
        refused(ask(boss, elsewhere, what, reason="x", **more), 422, "key_reused")

    assert given_back(bank) == 500


def test_a_process_that_died_before_its_answer_is_finished_by_the_repeat(boss, order, bank, monkeypatch):
    with monkeypatch.context() as crash:
        crash.setattr("orders.refunds.carry_out", lambda **_: 1 / 0)
        assert ask(boss, order, "refunds", amount=500, reason="x").status_code == 500

    again = ask(boss, order, "refunds", amount=500, reason="x")

    assert (again.status_code, sent(again)["refunds"][0]["status"]) == (201, "done")
    assert given_back(bank) == 500


def test_a_refusal_never_hides_what_its_twin_has_done(boss, order, monkeypatch):
    """The same request twice at once: the slower one finds the order cancelled, by its own twin."""

    calls = []

    def twin_is_faster(key):
        calls.append(key)
        if len(calls) == 1:  # before the verb begins; the twin is done before it looks for itself
            return ""
        monkeypatch.undo()
        assert ask(Program(boss.user), order, "cancel").status_code == 200
        IdempotencyKey.objects.filter(key="decide").update(status_code=None, body=None)
        return ""

    monkeypatch.setattr(idempotency, "made_before", twin_is_faster)
    slow = ask(boss, order, "cancel")

    refused(slow, 409, "in_progress")
    assert slow["Retry-After"] == "1"
    assert ask(boss, order, "cancel").status_code == 200


def test_a_twin_that_was_refused_meanwhile_answers_for_both(boss, order, monkeypatch):
    def refused_meanwhile(**asked):
        key = asked["key"]
        idempotency.remember(key=key, status=409, body={"code": "wrong_status"}, order=None)
        raise IntegrityError

    monkeypatch.setattr(fulfilment, "ship", refused_meanwhile)

    answer = ask(boss, order, "shipments", carrier="PostNL")

    assert (answer.status_code, answer["Idempotent-Replayed"]) == (409, "true")


def test_one_request_sent_six_times_at_once_gives_back_once(boss, order, bank):
    programs = [Program(boss.user) for _ in range(6)]

    answers = at_once(*[lambda one=one: ask(one, order, "refunds", amount=700, reason="x") for one in programs])

    assert {answer.status_code for answer in answers} <= {201, 202, 409}
    assert given_back(bank) == 700
    assert Refund.objects.count() == 1
    assert ask(boss, order, "refunds", amount=700, reason="x").status_code == 201


def test_refund_against_ship_has_one_winner_and_the_other_is_told(boss, order, bank):
    programs = [Program(boss.user) for _ in range(2)]

    refund, ship = at_once(
        lambda: ask(programs[0], order, "refunds", key="r", lines=mugs(3), reason="x", restock=True),
        lambda: ask(programs[1], order, "shipments", key="s", lines=mugs(3), carrier="PostNL"),
    )

    assert refund.status_code == 201
    line, shelf = OrderLine.objects.get(), Stock.objects.get()
    if ship.status_code == 201:
        assert (line.shipped, line.cancelled, shelf.on_hand) == (3, 0, 97)
    else:
        assert sent(ship)["code"] in ("not_enough_units", "wrong_status")
        assert (line.shipped, line.cancelled, shelf.on_hand) == (0, 3, 100)
    assert given_back(bank) == 3 * 1290


# -- shipments and returns --------------------------------------------------------------------


def test_parcels_leave_in_parts_and_are_listed(boss, ada, order):
    part = ask(boss, order, "shipments", key="1", lines=mugs(1), carrier="PostNL", tracking="3S1")
    rest = ask(boss, order, "shipments", key="2", carrier="PostNL", tracking="3S2")

    assert [answer.status_code for answer in (part, rest)] == [201, 201]
    assert [sent(answer)["order"]["status"] for answer in (part, rest)] == ["partly_shipped", "shipped"]
    parcels = sent(ada.get(f"orders/{order['number']}/shipments/"))["results"]
    assert [(one["tracking"], one["lines"]) for one in parcels] == [("3S1", mugs(1)), ("3S2", mugs(2))]
    assert sent(rest)["shipment"] == parcels[1]
    assert sent(ada.get(f"orders/{order['number']}/"))["shipments"] == parcels


def test_more_than_is_there_does_not_leave(boss, order):
    body = refused(ask(boss, order, "shipments", lines=mugs(4), carrier="PostNL"), 409, "not_enough_units")

    assert (body["sku"], body["wanted"], body["left"]) == ("MUG-RED", 4, 3)
    assert Shipment.objects.count() == 0


def test_nothing_leaves_when_the_bank_let_go_of_the_money(boss, ada, settings):
    settings.CAPTURE_ON_SHIPMENT = True
    order = bought(ada)
    attempt = PaymentAttempt.objects.get()
    stripe.cancel(payments.charge_of(attempt), gateway_id=attempt.gateway_id)

    first = ask(boss, order, "shipments", carrier="PostNL")
    again = ask(boss, order, "shipments", carrier="PostNL")

    assert "let go" in refused(first, 402, "not_paid")["detail"]
    assert (sent(again), again["Idempotent-Replayed"]) == (sent(first), "true")
    assert Shipment.objects.count() == 0


def test_held_money_that_the_bank_has_not_paid_yet_can_be_asked_for_again(boss, ada, settings, bank):
    settings.CAPTURE_ON_SHIPMENT = True
    order = bought(ada)
    bank.play("faults", path="capture", mode="drop_before", times=1)

    first = ask(boss, order, "shipments", carrier="PostNL")
    again = ask(boss, order, "shipments", carrier="PostNL")

    refused(first, 402, "not_paid")
    assert (again.status_code, sent(again)["order"]["payment_status"]) == (201, "paid")


def test_held_money_of_a_cancelled_order_is_never_taken(boss, ada, settings, bank):
    settings.CAPTURE_ON_SHIPMENT = True
    order = bought(ada)
    bank.play("faults", path="cancel", mode="drop_before", times=1)
    cancelled = ask(boss, order, "cancel", key="c")

    shipped = ask(boss, order, "shipments", key="s", carrier="PostNL")

    assert (cancelled.status_code, sent(cancelled)["payment_status"]) == (202, "authorized")
    refused(shipped, 409, "wrong_status")
    assert bank.ledger(reference=str(PaymentAttempt.objects.get().pk), kind="charge", status="succeeded") == []


def test_money_taken_while_its_order_is_cancelled_goes_back(boss, ada, settings, bank, monkeypatch):
    settings.CAPTURE_ON_SHIPMENT = True
    order, capture = bought(ada), stripe.capture

    def cancelled_meanwhile(gateway_id):
        outcome = capture(gateway_id)
        ask(Program(boss.user), order, "cancel", key="c")
        return outcome

    monkeypatch.setattr(stripe, "capture", cancelled_meanwhile)
    shipped = ask(boss, order, "shipments", key="s", carrier="PostNL")
    follow_up()

    refused(shipped, 409, "wrong_status")
    assert (given_back(bank), Order.objects.get().status) == (TOTAL, "cancelled")


def test_what_came_back_is_paid_back_and_what_waits_is_still_sent(boss, order):
    ask(boss, order, "shipments", key="1", lines=mugs(1), carrier="PostNL")

    answer = ask(boss, order, "returns", lines=mugs(1), restock=True, refund=True, reason="too red")

    [line] = sent(answer)["order"]["lines"]
    assert (answer.status_code, sent(answer)["refunds"][0]["amount"]["amount"]) == (201, 1290)
    assert (line["shipped"], line["returned"], line["refunded"], line["cancelled"]) == (1, 1, 1, 0)
    assert sent(ask(boss, order, "shipments", key="2", carrier="PostNL"))["shipment"]["lines"] == mugs(2)


def test_what_never_left_does_not_come_back(boss, order):
    answer = ask(boss, order, "returns", lines=mugs(1), restock=True, refund=True)

    assert refused(answer, 409, "not_enough_units")["left"] == 0


def test_goods_may_come_back_without_money(boss, order, bank):
    ask(boss, order, "shipments", key="1", carrier="PostNL")

    answer = ask(boss, order, "returns", lines=mugs(2), restock=False, refund=False)
    again = ask(boss, order, "returns", lines=mugs(2), restock=False, refund=False)

    assert (answer.status_code, sent(answer)["refunds"], sent(again)) == (201, [], sent(answer))
    assert (OrderLine.objects.get().returned, given_back(bank)) == (2, 0)


# -- cancel -----------------------------------------------------------------------------------


def test_customers_cancel_their_own_paid_order(ada, order, bank):
    answer = ask(ada, order, "cancel", reason="ordered twice")

    assert (answer.status_code, sent(answer)["status"], sent(answer)["refunds"][0]["status"]) == (
        200,
        "cancelled",
        "done",
    )
    assert (given_back(bank), Stock.objects.get().on_hand) == (TOTAL, 100)


def test_customers_cannot_cancel_what_has_left(ada, boss, order):
    ask(boss, order, "shipments", key="s", lines=mugs(1), carrier="PostNL")

    refused(ask(ada, order, "cancel"), 409, "wrong_status")


def test_customers_do_not_reach_orders_of_others_and_decide_nothing_of_staff(ada, order, bank):
    eve = Program(customer("eve@example.org"))
    goods = {"lines": mugs(1), "restock": True, "refund": True}

    refused(ask(eve, order, "cancel"), 404, "not_found")
    assert [eve.get(f"orders/{order['number']}/{what}/").status_code for what in ("refunds", "shipments")] == [404, 404]
    for program in (eve, Program(ada.user)):
        refused(ask(program, order, "refunds", reason="x"), 403, "forbidden")
        refused(ask(program, order, "shipments", carrier="PostNL"), 403, "forbidden")
        refused(ask(program, order, "returns", **goods), 403, "forbidden")
    assert (given_back(bank), Order.objects.get().status) == (0, "paid")


def test_an_order_that_waits_for_the_buyer_is_cancelled_at_the_bank(ada):
    order = bought(ada, payment_method="pm_card_authenticationRequired")

    answer = ask(ada, order, "cancel")

    assert (answer.status_code, sent(answer)["status"], sent(answer)["next_action"]) == (200, "cancelled", None)
    assert Stock.objects.get().reserved == 0


def test_an_order_whose_payment_is_unknown_is_202_until_the_bank_has_answered(ada, bank):
    order = bought(ada, payment_method="pm_card_authenticationRequired")
    bank.play("faults", path="cancel", mode="drop_before", times=1)

    first = ask(ada, order, "cancel")
    again = ask(ada, order, "cancel")

    assert (first.status_code, sent(first)["status"], first["Retry-After"]) == (202, "placed", "2")
    assert (again.status_code, sent(again)["status"], again["Idempotent-Replayed"]) == (200, "cancelled", "true")


def test_money_that_came_before_the_wish_goes_back(ada, bank):
    order = bought(ada, payment_method="pm_bank_error_after_charge")

    ask(ada, order, "cancel")
    follow_up()
    answer = ask(ada, order, "cancel")

    assert (answer.status_code, sent(answer)["status"], given_back(bank)) == (200, "cancelled", TOTAL)


def test_a_declined_order_has_nothing_to_cancel(ada):
    ada.order(payment_method="pm_card_chargeDeclined")

    refused(ask(ada, {"number": Order.objects.get().number}, "cancel"), 409, "wrong_status")


# -- what POST orders/ says of orders that ended otherwise ------------------------------------


def test_a_wrong_amount_is_202_until_it_has_been_given_back_and_then_402(ada, bank):
    first = ada.order(key="once", payment_method="pm_bank_wrong_amount")
    follow_up()
    again = ada.order(key="once", payment_method="pm_bank_wrong_amount")

    assert (first.status_code, sent(first)["status"]) == (202, "refund_due")
    assert "given back" in refused(again, 402, "amount_mismatch")["detail"]
    assert Order.objects.get().status == "refunded"


def test_an_order_cancelled_during_payment_is_402_and_says_so(ada):
    body = {"key": "once", "payment_method": "pm_card_authenticationRequired"}
    order = sent(ada.order(**body))
    ask(ada, order, "cancel")

    assert "cancelled before it was paid" in refused(ada.order(**body), 402, "cancelled")["detail"]


def test_an_order_cancelled_after_its_payment_is_never_called_uncharged(ada):
    body = {"key": "once", "payment_method": "pm_bank_error_after_charge"}
    order = sent(ada.order(**body))
    ask(ada, order, "cancel")
    follow_up()

    detail = refused(ada.order(**body), 402, "cancelled")["detail"]

    assert detail == "The order was cancelled. What was taken for it is given back."


# -- the timeline, and why --------------------------------------------------------------------


def story(program, order):
    return sent(program.get(f"orders/{order['number']}/timeline/"))


def test_the_timeline_tells_of_parcels_refunds_changes_and_invoices(boss, ada, order):
    edit(order=Order.objects.get(), lines=[Item(sku="MUG-RED", quantity=4)], reason="one more")
    ask(boss, order, "shipments", key="1", lines=mugs(1), carrier="PostNL", tracking="3S1")
    ask(boss, order, "refunds", key="2", amount=500, reason="a scratch")

    entries = story(ada, order)["results"]

    titles = {kind: [one["title"] for one in entries if one["kind"] == kind] for kind in ("shipment", "refund", "edit")}
    assert titles == {
        "shipment": ["Parcel: 1 × MUG-RED"],
        "refund": ["€5.00 to be given back", "€5.00 given back"],
        "edit": ["Changed, €12.90 more"],
    }
    assert len([one for one in entries if one["kind"] == "invoice"]) == 3
    assert [one["at"] for one in entries] == sorted(one["at"] for one in entries)


def test_why_names_the_state_and_the_next_step(boss, ada, order):
    waiting = bought(ada, payment_method="pm_card_authenticationRequired")
    unknown = bought(ada, payment_method="pm_bank_error_after_charge")
    ada.order(payment_method="pm_card_chargeDeclined")
    declined = {"number": Order.objects.get(status="declined").number}

    assert story(ada, order)["why"] == "It is paid, and waits for staff to pack and ship it."
    assert "waits for the buyer to approve" in story(ada, waiting)["why"]
    assert "It is asked until it does. The next time is " in story(ada, unknown)["why"]
    assert "Nothing was charged" in story(ada, declined)["why"]
    ask(boss, order, "shipments", key="1", lines=mugs(1), carrier="PostNL")
    assert story(ada, order)["why"] == "Shipped: 1. Waiting for staff to ship them: 2."
    ask(boss, order, "shipments", key="2", carrier="PostNL")
    assert "It is called completed on" in story(ada, order)["why"]
    ask(boss, order, "refunds", key="3", reason="goodwill")
    assert story(ada, order)["why"] == "All of the money went back: goodwill. Nothing more happens by itself."
    ask(ada, waiting, "cancel", reason="too slow")
    assert story(ada, waiting)["why"] == "It was cancelled: too slow. Nothing was charged."
