"""place_order: from a full cart to a paid order, in two short transactions with the gateway between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction

from notifications import correlation
from notifications.pipeline.events import publish
from orders import idempotency, inventory, status, vouchers
from orders.events import OrderPlaced
from orders.gateways import stripe
from orders.gateways.base import Outcome, Status
from orders.idempotency import AlreadyAnswered, AlreadyPlaced, Key, KeyInProgress, KeyReused
from orders.inventory import OutOfStock, Shortage
from orders.models import Order, OrderLine, PaymentAttempt
from orders.payments import charge_of, settle
from orders.pricing import FieldError, InvalidOrder, Item, Quote, quote

__all__ = [
    "AlreadyAnswered",
    "AlreadyPlaced",
    "Buyer",
    "Declined",
    "FieldError",
    "InvalidOrder",
    "Item",
    "Key",
    "KeyInProgress",
    "KeyReused",
    "OutOfStock",
    "Shortage",
    "place_order",
]


log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Buyer:
    email: str
    shipping_address: dict[str, str]
    user_id: int | None = None


class Declined(Exception):
    """The bank said no. The order is kept as declined, its stock is free, nothing was charged."""

    def __init__(self, order: Order, *, code: str, message: str) -> None:
        super().__init__(message)
        self.order, self.code, self.message = order, code, message


def place_order(
    *,
    items: Sequence[Item],
    buyer: Buyer,
    payment_method: str,
    shipping_method: str = "standard",
    currency: str = "",
    voucher: str = "",
    key: Key | None = None,
    cart_token: str | None = None,
) -> Order:
    """Sell `items` to `buyer` and take the money. currency: the shop's own when empty.

    Returns the order: `paid`, or `placed` when the bank has not told us the outcome (it is found out
    afterwards; the buyer must read "we are checking", never "failed"). Raises InvalidOrder, OutOfStock
    (nothing stored, nothing charged), Declined (nothing charged), or, when `key` or `cart_token` was
    here before, KeyReused, KeyInProgress, AlreadyAnswered or AlreadyPlaced.

    Killed at any point, the order is found and finished by the delayed handler of `order.placed`.
    """
    try:
        _refuse_if_seen(key, cart_token)
    except AlreadyPlaced as before:
        if key is not None and idempotency.take_over(key):
            return _finished(before.order)
        raise
    country = buyer.shipping_address.get("country", "")
    priced = quote(items, shipping_method, country=country, currency=currency, voucher=voucher)
    try:
        attempt = _place(priced, buyer, payment_method, shipping_method, key, cart_token)
    except IntegrityError:
        # The same request, or the cart's other tab, was first; if that one has been declined since, it is our turn.
        _refuse_if_seen(key, cart_token)
        attempt = _place(priced, buyer, payment_method, shipping_method, key, cart_token)
    return _settled(attempt, stripe.charge(charge_of(attempt)))


def _finished(order: Order) -> Order:
    """The process that placed this order is dead, and its buyer asks again: finish its work."""
    attempt = order.last_attempt
    if attempt is None or attempt.state != PaymentAttempt.State.IN_FLIGHT:
        raise AlreadyPlaced(order)
    outcome = stripe.find(charge_of(attempt), gateway_id=attempt.gateway_id)
    if outcome.status is Status.NOT_CHARGED and order.cancel_wanted_at is None:
        outcome = stripe.charge(charge_of(attempt))
    return _settled(attempt, outcome)


def _settled(attempt: PaymentAttempt, outcome: Outcome) -> Order:
    try:
        order = settle(attempt_id=attempt.pk, outcome=outcome)
    except OperationalError as error:
        # The card may be charged, and a charge that stands is never answered with a failure.
        log.warning("outcome_not_written", attempt=str(attempt.pk), outcome=outcome.status, error=str(error))
        return attempt.order
    if order.status == Order.Status.DECLINED:
        attempt.refresh_from_db()
        raise Declined(order, code=attempt.code, message=attempt.message)
    return order


def _refuse_if_seen(key: Key | None, cart_token: str | None) -> None:
    if key is not None:
        idempotency.refuse_if_seen(key)
    if cart_token is not None:
        bought = Order.objects.of_cart(cart_token).first()
        if bought is not None:
            raise AlreadyPlaced(bought)


def _place(
    priced: Quote,
    buyer: Buyer,
    payment_method: str,
    shipping_method: str,
    key: Key | None,
    cart_token: str | None,
) -> PaymentAttempt:
    """T1: order, lines, holds, payment attempt, key and event, all or none."""
    with transaction.atomic(durable=True):
        order = _write_order(priced, buyer, shipping_method, cart_token)
        if key is not None:
            idempotency.claim(key=key, order=order)
        attempt = PaymentAttempt.objects.create(
            order=order,
            amount=order.total,
            currency=order.currency,
            payment_method=payment_method,
            capture_later=settings.CAPTURE_ON_SHIPMENT,
        )
        publish(
            OrderPlaced(order_id=order.pk, attempt_id=str(attempt.pk), total=order.total, currency=order.currency),
            about=order,
        )
        # Last of the writes: the row of a popular product stays locked for as short as can be.
        inventory.hold(order=order, lines=priced.lines)
        if priced.voucher is not None:
            vouchers.take(order=order, voucher=priced.voucher)
    return attempt


def _write_order(priced: Quote, buyer: Buyer, shipping_method: str, cart_token: str | None) -> Order:
    order = Order.objects.create(
        user_id=buyer.user_id,
        email=buyer.email,
        currency=priced.currency,
        subtotal=priced.subtotal,
        shipping=priced.shipping,
        tax=priced.tax,
        tax_included=priced.tax_included,
        discount=priced.discount,
        total=priced.total,
        shipping_method=shipping_method,
        shipping_address=buyer.shipping_address,
        voucher_code=priced.voucher.code if priced.voucher else "",
        cart_token=cart_token,
        correlation_id=correlation.correlation_id(),
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            product=line.product,
            sku=line.product.sku,
            name=line.product.name,
            unit_price=line.unit_price,
            quantity=line.quantity,
            total=line.total,
            discount=line.discount,
            tax_rate=line.tax_rate,
            tax=line.tax,
        )
        for line in priced.lines
    )
    status.start(order)
    return order
