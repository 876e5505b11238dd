"""Staff change a paid order: its lines, its money and the shelf always agree, whatever the bank says and when."""

import threading
import uuid

import pytest
from django.db import connection
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.models import Event
from orders import inventory, payments
from orders.checkout import Buyer, Item, place_order
from orders.editing import DifferenceDeclined, InvalidOrder, NotEditable, OutOfStock, edit
from orders.gateways import stripe
from orders.gateways.base import Outcome, RefundOutcome, RefundStatus, Status
from orders.idempotency import Key, KeyReused
from orders.models import (
    Order,
    OrderEdit,
    PaymentAttempt,
    Product,
    Refund,
    Stock,
    StockHold,
    StockMovement,
    TaxRate,
    Voucher,
)

pytestmark = pytest.mark.django_db(transaction=True)

PRICES = {"MUG": 1200, "HAT": 900, "PEN": 350}
UNITS = 20


@pytest.fixture(autouse=True)
def bank(monkeypatch):
    """`bank(Status.DECLINED)` is what it says next, yes until then; `.charged`, `.refunded`: what it was asked."""

    def say(status):
        monkeypatch.setattr(stripe, "charge", lambda request: say.charged.append(request) or said(status, request))

    def refund(ask):
        say.refunded.append(ask)
        return RefundOutcome(status=RefundStatus.DONE, gateway_id=f"re_{uuid.uuid4()}")

    say.charged, say.refunded = [], []
    say(Status.SUCCEEDED)
    monkeypatch.setattr(stripe, "refund", refund)
    return say


def said(status, request):
    taken = status is Status.SUCCEEDED
    return Outcome(
        status=status,
        gateway_id=f"pi_{uuid.uuid4()}",
        amount=request.amount if taken else None,
        currency=request.currency if taken else None,
        code="card_declined" if status is Status.DECLINED else "",
        message="The card said no." if status is Status.DECLINED else "",
    )


@pytest.fixture
def shelf():
    for sku, price in PRICES.items():
        product = Product.objects.create(sku=sku, slug=sku.lower(), name=f"A {sku.lower()}", price=price)
        inventory.set_on_hand(product=product, on_hand=UNITS, note="test")


def items(**quantities):
    return [Item(sku=sku, quantity=quantity) for sku, quantity in quantities.items()]


def paid(*, voucher="", **quantities):
    address = {"name": "Ada", "line1": "Quay 1", "postal_code": "1011", "city": "Hoorn", "country": "NL"}
    return place_order(
        items=items(**quantities),
        buyer=Buyer(email="ada@example.com", shipping_address=address),
        payment_method="pm_card_visa",
        voucher=voucher,
    )


def change(order, *, key=None, **quantities):
    return edit(order=order, lines=items(**quantities), reason="the buyer rang", key=key)


def key(name="k", what="h"):
    return Key(scope="staff:1", key=name, request_hash=what)


def content(order):
    return {line.sku: line.quantity for line in order.lines.all()}


def shelves():
    return {stock.product.sku: (stock.on_hand, stock.reserved) for stock in Stock.objects.select_related("product")}


def books_balance(order):
    """Lines, order, money and shelf tell the same story."""
    order.refresh_from_db()
    lines = list(order.lines.all())
    assert order.subtotal == sum(line.total for line in lines)
    assert order.discount == sum(line.discount for line in lines)
    assert order.total == order.subtotal + order.shipping + order.tax - order.discount
    taken = order.attempts.aggregate(captured=Sum("captured"), refunded=Sum("refunded"))
    assert order.total == taken["captured"] - taken["refunded"]
    invoices = sum(row.amount * (1 if row.kind == "invoice" else -1) for row in order.invoices.all())
    assert order.total == invoices
    for stock in Stock.objects.select_related("product"):
        sold = sum(line.quantity for line in lines if line.sku == stock.product.sku)
        assert (stock.on_hand, stock.reserved) == (UNITS - sold, 0)
        assert stock.product.movements.aggregate(sum=Sum("quantity"))["sum"] == stock.on_hand
    return True


# -- What it becomes --------------------------------------------------------------------------


def test_a_cheaper_order_gives_the_difference_back_at_once(shelf, bank):
    order = paid(MUG=3)

    made = change(order, MUG=1)

    assert (made.state, made.difference, made.actor) == ("applied", -2400, "system")
    assert content(order) == {"MUG": 1}
    assert [ask.amount for ask in bank.refunded] == [2400]
    assert [(refund.state, refund.cause) for refund in order.refunds.all()] == [("done", "edit")]
    assert books_balance(order)


def test_a_dearer_order_charges_the_difference_with_the_same_card(shelf, bank):
    order = paid(MUG=1)

    made = change(order, MUG=1, HAT=2)

    assert (made.state, made.difference) == ("applied", 1800)
    assert [(charge.amount, charge.payment_method) for charge in bank.charged] == [
        (1690, "pm_card_visa"),
        (1800, "pm_card_visa"),
    ]
    assert content(order) == {"MUG": 1, "HAT": 2}
    assert books_balance(order)


def test_a_swap_at_the_same_price_moves_goods_and_no_money(shelf, bank):
    Product.objects.filter(sku="HAT").update(price=1200)
    order = paid(MUG=2)

    made = change(order, HAT=2)

    assert (made.state, made.difference) == ("applied", 0)
    assert (len(bank.charged), bank.refunded) == (1, [])
    assert [(line.name, line.quantity) for line in order.lines.all()] == [("A hat", 2)]
    assert books_balance(order)


def test_goods_leave_and_come_back_as_movements_of_the_edit(shelf):
    order = paid(MUG=3)

    change(order, MUG=1, PEN=4)

    moved = StockMovement.objects.filter(order=order, reason="edit").values_list("product__sku", "quantity")
    assert sorted(moved) == [("MUG", 2), ("PEN", -4)]
    assert sorted(StockHold.objects.filter(order=order).values_list("product__sku", "state")) == [
        ("MUG", "sold"),
        ("PEN", "sold"),
    ]


def test_what_was_sold_keeps_its_price_and_what_is_new_gets_todays(shelf):
    order = paid(MUG=1)
    Product.objects.update(price=5000)

    change(order, MUG=2, HAT=1)

    assert sorted(order.lines.values_list("sku", "unit_price", "total")) == [("HAT", 5000, 5000), ("MUG", 1200, 2400)]
    assert books_balance(order)


def test_tax_rates_stay_as_sold_and_new_lines_have_todays(shelf):
    TaxRate.objects.create(country="NL", rate=2100)
    order = paid(MUG=1)
    before = (order.tax_included - order.lines.get().tax, order.shipping)
    TaxRate.objects.update(rate=900)

    change(order, MUG=2, HAT=1)
    order.refresh_from_db()

    assert sorted(order.lines.values_list("sku", "tax_rate", "tax")) == [("HAT", 900, 74), ("MUG", 2100, 417)]
    assert (order.tax_included - 74 - 417, order.shipping) == before
    assert books_balance(order)


def test_tax_stays_on_top_where_it_was_on_top(shelf, settings):
    settings.PRICES_INCLUDE_TAX = False
    TaxRate.objects.create(country="NL", rate=1000)
    order = paid(MUG=1)
    settings.PRICES_INCLUDE_TAX = True

    made = change(order, MUG=2)
    order.refresh_from_db()

    assert (made.difference, order.tax, order.tax_included) == (1320, 240 + 49, 0)
    assert books_balance(order)


def test_a_percentage_counts_anew_and_an_amount_stays(shelf):
    Voucher.objects.create(code="TEN", kind="percent", value=10)
    Voucher.objects.create(code="FIVE", kind="amount", value=500, currency="EUR")
    tenth, five = paid(MUG=1, voucher="TEN"), paid(MUG=1, voucher="FIVE")

    change(tenth, MUG=1, HAT=1)
    change(five, PEN=1)

    for order, discount in ((tenth, 210), (five, 350)):
        order.refresh_from_db()
        assert (order.discount, sum(line.discount for line in order.lines.all())) == (discount, discount)


def test_an_order_can_be_changed_again_and_again(shelf):
    order = paid(MUG=1)

    for wanted in ({"MUG": 4}, {"MUG": 1, "PEN": 2}, {"HAT": 1}, {"HAT": 1, "MUG": 1}):
        change(order, **wanted)
        assert content(order) == wanted
        assert books_balance(order)


def test_each_edit_is_told_once_with_its_difference(shelf):
    order = paid(MUG=2)

    change(order, MUG=1)

    [told] = Event.objects.filter(name="order.edited")
    assert told.payload == {"order_id": order.pk, "edit_id": OrderEdit.objects.get().pk, "difference": -1200}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.dictionaries(st.sampled_from(sorted(PRICES)), st.integers(1, 6), min_size=1), min_size=1, max_size=3
    )
)
def test_whatever_is_changed_the_books_balance(shelf, steps):
    _start_anew()
    order = paid(MUG=2, PEN=1)
    for wanted in steps:
        if wanted != content(order):
            change(order, **wanted)
        assert books_balance(order)


def _start_anew():
    """The shelf as at first: what an earlier example sold is counted back."""
    for product in Product.objects.all():
        inventory.set_on_hand(product=product, on_hand=UNITS, note="test")


# -- What is not possible ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ([], "items"),
        (items(MUG=0), "items[0].quantity"),
        (items(MUG=100), "items[0].quantity"),
        (items(NONE=1), "items[0].sku"),
        ([*items(MUG=1), *items(MUG=2)], "items[1].sku"),
        (items(PEN=1, MUG=1), "items"),
    ],
)
def test_lines_that_cannot_be_are_named(shelf, bank, wanted, field):
    order = paid(MUG=1, PEN=1)

    with pytest.raises(InvalidOrder) as refusal:
        edit(order=order, lines=wanted, reason="")

    assert [error.field for error in refusal.value.errors] == [field]
    assert not OrderEdit.objects.exists()
    assert books_balance(order)


def test_a_withdrawn_product_can_stay_or_become_fewer_but_not_be_added(shelf):
    order = paid(MUG=2)
    Product.objects.update(is_active=False)

    change(order, MUG=1)

    with pytest.raises(InvalidOrder):
        change(order, MUG=1, HAT=1)
    assert books_balance(order)


def test_what_is_not_on_the_shelf_is_named_and_nothing_is_charged(shelf, bank):
    order = paid(MUG=1)

    with pytest.raises(OutOfStock) as refusal:
        change(order, MUG=1, HAT=UNITS + 1)

    assert [(line.sku, line.wanted, line.available) for line in refusal.value.lines] == [("HAT", UNITS + 1, UNITS)]
    assert len(bank.charged) == 1
    assert books_balance(order)


@pytest.mark.parametrize("status", ["placed", "partly_shipped", "shipped", "cancelled", "refund_due", "refunded"])
def test_only_a_paid_order_of_which_nothing_has_left_is_changed(shelf, status):
    order = paid(MUG=2)
    Order.objects.update(status=status)

    with pytest.raises(NotEditable):
        change(order, MUG=1)

    assert content(order) == {"MUG": 2}


def test_an_order_of_which_money_was_given_back_stays_as_it_is(shelf):
    order = paid(MUG=2)
    PaymentAttempt.objects.update(refunded=100)
    Refund.objects.create(
        order=order, attempt=order.attempts.get(), amount=100, currency="EUR", actor="", cause="staff"
    )

    with pytest.raises(NotEditable, match="given back"):
        change(order, MUG=1)


def test_an_order_that_somebody_wants_cancelled_is_not_changed(shelf):
    order = paid(MUG=2)
    Order.objects.update(cancel_wanted_at=order.placed_at)

    with pytest.raises(NotEditable):
        change(order, MUG=1)


def test_money_that_is_only_held_cannot_become_less(shelf):
    order = paid(MUG=2)
    PaymentAttempt.objects.update(state="authorized", finished_at=None, captured=0)

    with pytest.raises(NotEditable, match="only held"):
        change(order, MUG=1)

    assert change(order, MUG=3).state == "applied"


# -- What the bank says -----------------------------------------------------------------------


def test_when_the_bank_says_no_the_order_stays_as_it_was(shelf, bank):
    order = paid(MUG=1)
    bank(Status.DECLINED)

    with pytest.raises(DifferenceDeclined) as refusal:
        change(order, MUG=1, HAT=1)

    assert (refusal.value.code, refusal.value.message) == ("card_declined", "The card said no.")
    assert OrderEdit.objects.get().state == "refused"
    assert content(order) == {"MUG": 1}
    assert books_balance(order)
    bank(Status.SUCCEEDED)
    assert change(order, MUG=1, HAT=1).state == "applied"
    assert books_balance(order)


def test_while_the_bank_says_nothing_the_units_are_held_and_the_order_stays(shelf, bank):
    order = paid(MUG=1)
    bank(Status.UNKNOWN)

    made = change(order, MUG=1, HAT=2)

    assert made.state == "pending"
    assert content(order) == {"MUG": 1}
    assert shelves()["HAT"] == (UNITS, 2)
    with pytest.raises(NotEditable, match="still waits"):
        change(order, MUG=2)


def pending(order, bank, **quantities):
    """An edit whose payment is not known yet, and the function that tells its end."""
    bank(Status.UNKNOWN)
    made = change(order, **quantities)
    attempt = PaymentAttempt.objects.get(edit=made)
    request = payments.charge_of(attempt)

    def end(status):
        return payments.settle(attempt_id=attempt.pk, outcome=said(status, request))

    return made, end


def test_what_the_bank_says_later_applies_the_edit_once(shelf, bank):
    order = paid(MUG=1)
    made, end = pending(order, bank, MUG=1, HAT=2)

    end(Status.SUCCEEDED)
    end(Status.SUCCEEDED)

    made.refresh_from_db()
    assert made.state == "applied"
    assert content(order) == {"MUG": 1, "HAT": 2}
    assert Event.objects.filter(name="order.edited").count() == 1
    assert books_balance(order)


@pytest.mark.parametrize("end_state", [Status.DECLINED, Status.CANCELLED])
def test_what_the_bank_refuses_later_is_for_sale_again(shelf, bank, end_state):
    order = paid(MUG=1)
    made, end = pending(order, bank, MUG=1, HAT=2)

    end(end_state)

    made.refresh_from_db()
    assert made.state == "refused"
    assert order.status == "paid"
    assert books_balance(order)


def test_new_goods_keep_the_price_that_was_agreed_while_the_bank_thinks(shelf, bank):
    order = paid(MUG=1)
    _, end = pending(order, bank, MUG=1, HAT=2)
    Product.objects.update(price=9999, is_active=False)

    end(Status.SUCCEEDED)

    assert order.lines.get(sku="HAT").unit_price == 900
    assert books_balance(order)


@pytest.mark.parametrize("meanwhile", [{"status": "cancelled"}, {"status": "shipped"}, {"status": "refund_due"}])
def test_money_for_an_edit_that_came_too_late_goes_back(shelf, bank, meanwhile):
    order = paid(MUG=1)
    made, end = pending(order, bank, MUG=1, HAT=2)
    Order.objects.update(**meanwhile)

    end(Status.SUCCEEDED)

    made.refresh_from_db()
    assert made.state == "refused"
    assert [(refund.amount, refund.cause) for refund in order.refunds.all()] == [(1800, "late")]
    assert content(order) == {"MUG": 1}
    assert shelves()["HAT"] == (UNITS, 0)


@pytest.mark.parametrize("meanwhile", ["refunded", "cancelled"])
def test_money_for_an_edit_of_lines_that_were_given_back_goes_back_too(shelf, bank, meanwhile):
    order = paid(MUG=2)
    made, end = pending(order, bank, MUG=2, HAT=2)
    order.lines.update(**{meanwhile: 1})

    end(Status.SUCCEEDED)

    made.refresh_from_db()
    assert (made.state, content(order)) == ("refused", {"MUG": 2})
    assert [refund.amount for refund in order.refunds.all()] == [1800]


# -- Once -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [{"MUG": 1}, {"MUG": 3}])
def test_the_same_key_is_the_same_edit(shelf, bank, wanted):
    order = paid(MUG=2)

    first = change(order, key=key(), **wanted)
    again = change(order, key=key(), **wanted)

    assert first == again
    assert len(bank.charged) + len(bank.refunded) == 2
    assert books_balance(order)


def test_the_same_key_for_another_edit_is_refused(shelf):
    order = paid(MUG=2)
    change(order, key=key(), MUG=1)

    with pytest.raises(KeyReused):
        change(order, key=key(what="other"), MUG=2)


def test_a_declined_edit_stays_declined_under_its_key(shelf, bank):
    order = paid(MUG=2)
    bank(Status.DECLINED)

    for _ in range(2):
        with pytest.raises(DifferenceDeclined):
            change(order, key=key(), MUG=3)

    assert len(bank.charged) == 2
    assert books_balance(order)


@pytest.mark.parametrize("keys", ["one key", "a key each"])
def test_of_six_edits_at_once_the_books_balance(shelf, bank, keys):
    order = paid(MUG=2)
    results, start = [], threading.Barrier(6)

    def run(n):
        start.wait()
        try:
            results.append(change(order, key=key(name="k" if keys == "one key" else f"k{n}"), MUG=5).pk)
        except (NotEditable, InvalidOrder) as refused:
            results.append(type(refused))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 6
    assert (OrderEdit.objects.count(), len(bank.charged)) == (1, 2)
    assert content(order) == {"MUG": 5}
    assert books_balance(order)
