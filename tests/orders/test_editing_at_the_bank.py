"""Edits of orders with the real bank: its ledger and the doctor agree with every one of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.editing import edit
from orders.fulfilment import cancel, ship
from orders.models import Order, OrderEdit, OrderLine, Voucher
from orders.pricing import Item
from orders.refunds import Units, refund, refundable, worth_of
from tests.orders.conftest import follow_up, left, status_of

pytestmark = pytest.mark.django_db(transaction=True)


def change(order, *, mugs=0, prints=0):
    lines = [Item(sku=sku, quantity=count) for sku, count in (("MUG", mugs), ("PRINT", prints)) if count]
    return edit(order=order, lines=lines, reason="the buyer rang")


def test_dearer_cheaper_and_dearer_again(buy, in_order, bank):
    order = buy(mugs=1, prints=0)

    for wanted in ({"mugs": 3}, {"mugs": 1}, {"mugs": 1, "prints": 2}, {"prints": 1}):
        assert change(order, **wanted).state == "applied"
        assert in_order() == {}

    assert (left("MUG"), left("PRINT")) == ((10, 0), (9, 0))


def test_a_difference_the_bank_is_silent_about_is_found_out(buy, in_order):
    order = buy(mugs=1, prints=0, card="pm_bank_error_after_charge")
    follow_up()

    made = change(order, mugs=2)
    assert (made.state, in_order()) == ("pending", {})
    follow_up()

    assert (OrderEdit.objects.get().state, left("MUG"), in_order()) == ("applied", (8, 0), {})


def test_a_changed_order_is_cancelled_with_all_its_money(buy, in_order):
    order = buy(mugs=1, prints=0)
    change(order, mugs=3, prints=1)

    cancel(order=order, reason="no longer wanted")
    follow_up()

    assert refundable(Order.objects.get()) == 0
    assert (left("MUG"), left("PRINT"), in_order()) == ((10, 0), (10, 0), {})


def test_a_changed_order_is_shipped_as_it_is_now(buy, in_order):
    order = buy(mugs=2, prints=1)
    change(order, mugs=1)

    ship(order=order, carrier="Post", tracking="1")

    assert (status_of(order), in_order()) == ("shipped", {})


def test_a_voucher_counts_anew_and_stays_counted_once(buy, in_order):
    Voucher.objects.create(code="TEN", kind="percent", value=10, most=1)
    order = buy(mugs=1, prints=0, voucher="ten")

    change(order, mugs=3)
    change(order, mugs=2)

    order = Order.objects.get()
    assert (order.discount, order.total, Voucher.objects.get().uses) == (298, 2980 + 490 - 298, 1)
    assert in_order() == {}


# -- What goes back unit by unit --------------------------------------------------------------


@given(
    price=st.integers(1, 100_000),
    quantity=st.integers(1, 99),
    discounted=st.integers(0, 100),
    tax=st.integers(0, 50_000),
    steps=st.lists(st.integers(1, 20), max_size=30),
)
def test_parts_of_a_line_given_back_add_up_to_what_it_cost(price, quantity, discounted, tax, steps):
    total = price * quantity
    line = OrderLine(unit_price=price, quantity=quantity, total=total, discount=total * discounted // 100, tax=tax)
    order, back = Order(tax=tax), 0

    for count in [*steps, quantity]:
        count = min(count, quantity - line.refunded)
        worth = worth_of(order, line, count)
        assert worth >= 0
        back += worth
        line.refunded += count

    assert back == line.total - line.discount + tax


def test_all_lines_and_the_delivery_given_back_are_all_that_was_taken(buy, in_order):
    Voucher.objects.create(code="THIRD", kind="percent", value=33)
    order = buy(mugs=3, prints=2, voucher="THIRD")
    taken = refundable(order)

    for units in (Units(sku="MUG", quantity=1), Units(sku="PRINT", quantity=2), Units(sku="MUG", quantity=2)):
        refund(order=order, lines=[units], reason="broken")
    assert refundable(order) == order.shipping
    refund(order=order, reason="and the delivery")

    assert sum(row.amount for row in order.refunds.all()) == taken
    assert in_order() == {}
