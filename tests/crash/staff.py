"""What staff decide: refund, cancel, ship, take back. Each by the shop's API, under a key of its own."""

from collections.abc import Iterator
from typing import Any

from django.test import override_settings

from orders.models import Order, PaymentAttempt, Refund
from tests.crash import points, rows
from tests.crash.buyer import a_placed_order, order_of
from tests.crash.flow import Facts, Flow, Say, call

PARCEL = {"carrier": "Postbus", "tracking": "PB-1"}
PATHS = {"cancel": "cancel", "refund": "refunds", "ship": "shipments", "return": "returns"}


def decide(facts: Facts, *, say: Say) -> None:
    """404 when the order was never made: then there is nothing to decide."""
    order = order_of(facts)
    if order is None:
        return say({"status": 404, "body": None, "again": False})
    path = f"/api/v1/orders/{order.number}/{PATHS[facts['verb']]}/"
    return say(call(path, facts["asked"], key=facts["key"], who=rows.STAFF))


def _prepared(verb, asked):
    def prepare(tag: str) -> Facts:
        return {**a_placed_order(tag), "verb": verb, "asked": asked}

    return prepare


TWO_PRINTS = [{"sku": "PRINT", "quantity": 2}]


def a_return(tag: str) -> Facts:
    """All of it was sent, and two of the three things come back."""
    facts = a_placed_order(tag)
    shipped = call(f"/api/v1/orders/{facts['number']}/shipments/", PARCEL, key=f"ship-{tag}", who=rows.STAFF)
    assert shipped["status"] == 201, shipped
    return {**facts, "verb": "return", "asked": {"lines": TWO_PRINTS, "restock": True, "refund": True}}


def held_money(tag: str) -> Facts:
    """The bank holds the money until the goods leave."""
    with override_settings(CAPTURE_ON_SHIPMENT=True):
        return {**a_placed_order(tag), "verb": "ship", "asked": PARCEL}


def an_unpaid_order(tag: str) -> Facts:
    """The bank has charged and said nothing, and the buyer would rather have nothing of it."""
    facts = a_placed_order(tag, "pm_bank_error_after_charge")
    return {**facts, "verb": "cancel", "asked": {"reason": "second thoughts"}}


# -- what must be true in the end ---------------------------------------------------------------


def _order(facts):
    return Order.objects.get(number=facts["number"])


def refunded_once(facts: Facts, heard: list[Any]) -> Iterator[str]:
    if heard[-1]["status"] != 201:
        yield f"the last word of it is {heard[-1]}"
    made = list(Refund.objects.filter(order=_order(facts)))
    if [refund.state for refund in made] != [Refund.State.DONE]:
        yield f"one request, and the refunds are {[str(refund) for refund in made]}"


def cancelled(facts: Facts, heard: list[Any]) -> Iterator[str]:
    order = _order(facts)
    if order.status not in (Order.Status.CANCELLED, Order.Status.REFUNDED) or heard[-1]["status"] != 200:
        yield f"{order} is {order.status}, and the last word of it is {heard[-1]['status']}"


def shipped_once(facts: Facts, heard: list[Any]) -> Iterator[str]:
    order = _order(facts)
    parcels = order.shipments.count()
    if (order.status, parcels, heard[-1]["status"]) != (Order.Status.SHIPPED, 1, 201):
        yield f"{order} is {order.status} with {parcels} parcels, and the last word of it is {heard[-1]}"


def paid_for(facts: Facts, heard: list[Any]) -> Iterator[str]:
    yield from shipped_once(facts, heard)
    for attempt in PaymentAttempt.objects.filter(order=_order(facts)):
        if attempt.captured != attempt.amount:
            yield f"{attempt.order} left, and {attempt.captured} of {attempt.amount} was taken"


def _flow(name, prepare, wrong, point, least):
    return Flow(name=name, prepare=prepare, act=decide, point=point, wrong=wrong, least=least)


_REFUND = {"lines": TWO_PRINTS, "restock": True, "reason": "broken"}
FLOWS = (
    _flow("refund", _prepared("refund", _REFUND), refunded_once, points.refund, 38),
    _flow("cancel", _prepared("cancel", {"reason": "second thoughts"}), cancelled, points.refund, 38),
    _flow("cancel-unpaid", an_unpaid_order, cancelled, points.refund, 38),
    _flow("ship", _prepared("ship", PARCEL), shipped_once, points.parcel, 25),
    _flow("ship-held", held_money, paid_for, points.refund, 38),
    _flow("return", a_return, refunded_once, points.refund, 38),
)
