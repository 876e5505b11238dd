"""The words the shop speaks. Each fires inside the transaction of the change it tells of."""

from notifications.pipeline.events import DomainEvent


class OrderPlaced(DomainEvent, name="order.placed"):
    """Fires when an order, its stock holds and its payment attempt exist, before the gateway is asked."""

    order_id: int
    attempt_id: str
    total: int
    currency: str


class PaymentReceived(DomainEvent, name="payment.received"):
    """Fires when an order became paid: the gateway has the money and the holds have become sales."""

    order_id: int
    attempt_id: str
    amount: int
    currency: str


class PaymentFailed(DomainEvent, name="payment.failed"):
    """Fires when an order ended unpaid and its stock is free again. `code` is the bank's reason, or `expired`."""

    order_id: int
    attempt_id: str
    code: str


class PaymentUnanswered(DomainEvent, name="payment.unanswered"):
    """Fires when the gateway left us without an outcome: the card may or may not have been charged."""

    order_id: int
    attempt_id: str


class InventoryUpdated(DomainEvent, name="inventory.updated"):
    """Fires when units have left or entered the shelf. `changes` holds signed quantities, in the order of `skus`."""

    order_id: int | None
    skus: tuple[str, ...]
    changes: tuple[int, ...]


class ShippingNotified(DomainEvent, name="shipping.notified"):
    """Fires when the shipping department's mail server has accepted the notice of a paid order."""

    order_id: int
    letter_id: int
