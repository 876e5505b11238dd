"""What the adapter promises of refunds and of the gateway's own lists, whoever is behind it."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from orders.gateways import stripe as gateway
from orders.gateways.base import ListedCharge, ListedRefund, RefundStatus, Status
from tests.bank.conftest import a_charge, a_refund

pytestmark = pytest.mark.usefixtures("behind")


def paid(amount: int = 1000) -> str:
    return gateway.charge(a_charge(amount=amount)).gateway_id


def given_back(id: str) -> list[int]:
    """What was given back of this charge, latest first."""
    return [refund.amount for refund in gateway.refunds_of(id)]


# -- giving back ------------------------------------------------------------------------------


def test_a_refund_gives_back_exactly_what_was_asked() -> None:
    outcome = gateway.refund(a_refund(paid(), 400))

    assert (outcome.status, outcome.amount, outcome.currency) == (RefundStatus.DONE, 400, "EUR")
    assert outcome.gateway_id


def test_parts_are_given_back_until_nothing_is_left() -> None:
    id = paid(1000)
    first, second = gateway.refund(a_refund(id, 400)), gateway.refund(a_refund(id, 600))
    third = gateway.refund(a_refund(id, 1))

    assert (first.status, second.status) == (RefundStatus.DONE, RefundStatus.DONE)
    assert (third.status, third.code, third.amount) == (RefundStatus.FAILED, "charge_already_refunded", None)
    assert given_back(id) == [600, 400]


def test_more_than_is_left_is_refused_whole() -> None:
    id = paid(1000)
    gateway.refund(a_refund(id, 400))
    refused = gateway.refund(a_refund(id, 601))

    assert refused.status is RefundStatus.FAILED
    assert refused.code
    assert given_back(id) == [400]


def test_asking_for_one_refund_again_gives_back_nothing_more() -> None:
    ask = a_refund(paid(), 300)
    first = gateway.refund(ask)

    assert gateway.refund(ask) == first
    assert given_back(ask.gateway_id) == [300]


def test_a_refund_is_found_by_its_own_id() -> None:
    id = paid()
    ask, other = a_refund(id, 300), a_refund(id, 300)
    given = gateway.refund(ask)
    gateway.refund(other)

    assert gateway.find_refund(ask) == given


@pytest.mark.parametrize("id", [None, "pi_of_nobody"])
def test_looking_for_a_refund_that_never_was_gives_back_nothing(id: str | None) -> None:
    ask = a_refund(id or paid())

    assert gateway.find_refund(ask).status is RefundStatus.NOT_FOUND
    assert gateway.refunds_of(ask.gateway_id) == []


@pytest.mark.parametrize("age", [timedelta(hours=23, minutes=1), timedelta(days=3), timedelta(hours=-1)])
def test_a_refund_whose_key_may_be_forgotten_is_only_looked_for(age: timedelta) -> None:
    ask = a_refund(paid(), asked_at=datetime.now(UTC) - age)

    assert gateway.refund(ask).status is RefundStatus.NOT_FOUND
    assert given_back(ask.gateway_id) == []


def test_what_was_never_taken_cannot_be_given_back() -> None:
    declined = gateway.charge(a_charge("pm_card_chargeDeclined"))

    assert gateway.refund(a_refund(declined.gateway_id)).status is RefundStatus.FAILED
    assert gateway.refund(a_refund("pi_of_nobody")).status is RefundStatus.FAILED


def test_a_refund_that_takes_its_time_is_pending() -> None:
    id = gateway.charge(a_charge("pm_card_pendingRefund")).gateway_id
    ask = a_refund(id)

    assert gateway.refund(ask).status is RefundStatus.PENDING
    assert gateway.find_refund(ask).status in (RefundStatus.PENDING, RefundStatus.DONE)


# -- the gateway's own lists ------------------------------------------------------------------


def a_minute_ago() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def test_every_charge_is_listed_with_what_became_of_it() -> None:
    taken, refused = a_charge(amount=1000), a_charge("pm_card_chargeDeclined", amount=700)
    held, opened = a_charge(amount=800, capture_later=True), a_charge(amount=900)
    ids = [gateway.charge(request).gateway_id for request in (taken, refused, held)]
    ids.append(gateway.find(opened).gateway_id)
    gateway.refund(a_refund(ids[0], 150))

    listed = {charge.gateway_id: charge for charge in gateway.charges_since(a_minute_ago())}

    statuses = [Status.SUCCEEDED, Status.DECLINED, Status.AUTHORIZED, Status.NOT_CHARGED]
    assert [listed[id].status for id in ids] == statuses
    assert [listed[id].amount for id in ids] == [1000, 700, 800, 900]
    first = listed[ids[0]]
    assert abs(first.created - datetime.now(UTC)) < timedelta(minutes=1)
    assert first == ListedCharge(
        gateway_id=ids[0],
        reference=taken.reference,
        order_number=taken.order_number,
        status=Status.SUCCEEDED,
        amount=1000,
        currency="EUR",
        refunded=150,
        created=first.created,
    )


def test_a_list_begins_where_it_is_told_to() -> None:
    paid()
    ahead = datetime.now(UTC) + timedelta(hours=1)

    assert list(gateway.charges_since(ahead)) == []
    assert list(gateway.refunds_since(ahead)) == []


def test_every_refund_is_listed_with_our_id() -> None:
    ask = a_refund(paid(), 250)
    given = gateway.refund(ask)

    listed = {refund.gateway_id: refund for refund in gateway.refunds_since(a_minute_ago())}

    found = listed[given.gateway_id]
    assert found == ListedRefund(
        gateway_id=given.gateway_id,
        intent_id=ask.gateway_id,
        refund=ask.id,
        amount=250,
        currency="EUR",
        status=RefundStatus.DONE,
        created=found.created,
    )
    assert gateway.refunds_of(ask.gateway_id) == [found]


def test_a_list_of_several_pages_is_read_to_its_end_without_doubles() -> None:
    began = datetime.now(UTC)
    references = {str(uuid.uuid4()) for _ in range(105)}
    for reference in references:
        gateway.find(a_charge(reference=reference))

    listed = [charge.reference for charge in gateway.charges_since(began - timedelta(seconds=1))]

    ours = [reference for reference in listed if reference in references]
    assert len(ours) == len(references) == len(set(ours))
