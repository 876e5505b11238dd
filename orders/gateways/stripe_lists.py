"""The gateway's own books, for comparing them with ours."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from orders.gateways import stripe_client
from orders.gateways.base import GatewaySilent, ListedCharge, ListedRefund
from orders.gateways.stripe_answers import read
from orders.gateways.stripe_client import intents, moment, part, refunds, rows, text, whole
from orders.gateways.stripe_refunds import listed


def charges_since(since: datetime) -> Iterator[ListedCharge]:
    """Every charge opened at or after `since`, newest first, whatever became of it.

    Read page by page while you go on. Raises GatewaySilent when the list cannot be read whole.
    """
    asked = {"created": {"gte": int(since.timestamp())}, "expand": ["data.latest_charge"]}
    for said in rows(intents().list, asked, seconds=stripe_client.LIST_SECONDS):
        yield _charge(said)


def refunds_since(since: datetime) -> Iterator[ListedRefund]:
    """Every refund asked for at or after `since`, newest first, whoever made it. Raises GatewaySilent."""
    asked = {"created": {"gte": int(since.timestamp())}}
    for said in rows(refunds().list, asked, seconds=stripe_client.LIST_SECONDS):
        yield listed(said)


def _charge(said: dict[str, Any]) -> ListedCharge:
    outcome, asked_for, created = read(said), whole(said, "amount"), moment(said, "created")
    if asked_for is None or created is None or not text(said, "currency"):
        raise GatewaySilent("malformed")
    return ListedCharge(
        gateway_id=text(said, "id"),
        reference=text(part(said, "metadata"), "reference"),
        order_number=text(part(said, "metadata"), "order"),
        status=outcome.status,
        amount=asked_for if outcome.amount is None else outcome.amount,
        currency=text(said, "currency").upper(),
        refunded=whole(part(said, "latest_charge"), "amount_refunded"),
        created=created,
    )
