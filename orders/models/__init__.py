"""The nouns of the shop."""

from orders.models.catalog import Product
from orders.models.order import IdempotencyKey, Order, OrderLine, StatusChange
from orders.models.payment import PaymentAttempt
from orders.models.stock import Stock, StockHold, StockMovement

__all__ = [
    "IdempotencyKey",
    "Order",
    "OrderLine",
    "PaymentAttempt",
    "Product",
    "StatusChange",
    "Stock",
    "StockHold",
    "StockMovement",
]
