"""The words the shop speaks. Each fires inside the transaction of the change it tells of."""

from notifications.pipeline.events import DomainEvent


class OrderPlaced(DomainEvent, name="order.placed", public=True):
    """Fires when an order, its stock holds and its payment attempt exist, before the gateway is asked."""

    order_id: int
    attempt_id: str
    total: int
    currency: str


class PaymentReceived(DomainEvent, name="payment.received", public=True):
    """Fires when an order became paid: the gateway has the money and the holds have become sales."""

    order_id: int
    attempt_id: str
    amount: int
    currency: str


class PaymentAuthorized(DomainEvent, name="payment.authorized", public=True):
    """Fires when the bank holds the money of an order that is charged when its goods leave."""

    order_id: int
    attempt_id: str
    amount: int
    currency: str


class PaymentMismatched(DomainEvent, name="payment.mismatched"):
    """Fires when the bank took, or holds, another amount or currency than was agreed. It goes back by itself.

    `taken` is the sum of which that is so.
    """

    order_id: int
    attempt_id: str
    agreed: int
    taken: int
    currency: str


class PaymentCameLate(DomainEvent, name="payment.came_late"):
    """Fires when money came for an order that can no longer be fulfilled. It is given back by itself."""

    order_id: int
    attempt_id: str
    amount: int
    currency: str


class PaymentFailed(DomainEvent, name="payment.failed", public=True):
    """Fires when an order ended unpaid and its stock is free again. `code` is the bank's reason, or `expired`."""

    order_id: int
    attempt_id: str
    code: str


class PaymentUnanswered(DomainEvent, name="payment.unanswered"):
    """Fires when the gateway left us without an outcome: the card may or may not have been charged."""

    order_id: int
    attempt_id: str


class InventoryUpdated(DomainEvent, name="inventory.updated", public=True):
    """Fires when units have left or entered the shelf. `changes` holds signed quantities, in the order of `skus`."""

    order_id: int | None
    skus: tuple[str, ...]
    changes: tuple[int, ...]


class InventoryLow(DomainEvent, name="inventory.low", public=True):
    """Fires when a product's units on hand fall to its limit; again only after they have been above it.
    `at`: ISO 8601, UTC."""

    sku: str
    on_hand: int
    low_at: int
    at: str


class RefundRequested(DomainEvent, name="refund.requested"):
    """Fires when money is to be given back, before the gateway is asked."""

    order_id: int
    refund_id: str
    amount: int
    currency: str


class PaymentRefunded(DomainEvent, name="payment.refunded", public=True):
    """Fires when the gateway has given money back."""

    order_id: int
    refund_id: str
    amount: int
    currency: str


class RefundFailed(DomainEvent, name="refund.failed"):
    """Fires when the gateway refused to give money back, or its bank did: a person must see to it."""

    order_id: int
    refund_id: str
    code: str


class GatewayRefundSeen(DomainEvent, name="gateway.refund_seen"):
    """Fires when the gateway tells of refunds of a payment: they may have been made there, by hand."""

    order_id: int
    attempt_id: str


class OrderCancelled(DomainEvent, name="order.cancelled", public=True, personal=("reason",)):
    """Fires when an order is called off: its goods are for sale again, money taken for it is on its way back."""

    order_id: int
    reason: str


class OrderShipped(DomainEvent, name="order.shipped", public=True):
    """Fires when a parcel of an order left the house."""

    order_id: int
    shipment_id: int


class OrderEdited(DomainEvent, name="order.edited", public=True):
    """Fires when staff's change of an order's lines holds. `difference` is what the buyer paid more, or gets back."""

    order_id: int
    edit_id: int
    difference: int


class ReturnRequested(DomainEvent, name="return.requested", public=True):
    """Fires when a buyer asks to send things back."""

    order_id: int
    request_id: int


class ReturnDeclined(DomainEvent, name="return.declined", public=True):
    """Fires when staff have said no to a buyer who wanted to send things back."""

    order_id: int
    request_id: int


class DifferenceFound(DomainEvent, name="settlement.differed"):
    """Fires when the gateway's books and ours disagree somewhere new."""

    difference_id: int
    kind: str


class ShippingNotified(DomainEvent, name="shipping.notified", public=True):
    """Fires when the shipping department's mail server has accepted the notice of a paid order."""

    order_id: int
    letter_id: int


class BooksCheckAsked(DomainEvent, name="books.check_asked"):
    """Fires when somebody of the staff wants to know whether the books balance."""
