"""The nouns of the shop."""

from orders.models.catalog import Product
from orders.models.discount import Voucher, VoucherUse
from orders.models.gateway import Difference, GatewayEvent
from orders.models.number import Counter, Invoice
from orders.models.order import IdempotencyKey, Order, OrderLine, StatusChange
from orders.models.payment import PaymentAttempt
from orders.models.picture import ProductPicture
from orders.models.refund import Refund
from orders.models.returns import ReturnPicture, ReturnRequest
from orders.models.shipment import OrderEdit, Shipment, ShipmentLine
from orders.models.stock import Stock, StockHold, StockMovement
from orders.models.terms import ProductPrice, ShippingMethod, ShippingPrice, TaxRate

__all__ = [
    "Counter",
    "Difference",
    "GatewayEvent",
    "IdempotencyKey",
    "Invoice",
    "Order",
    "OrderEdit",
    "OrderLine",
    "PaymentAttempt",
    "Product",
    "ProductPicture",
    "ProductPrice",
    "Refund",
    "ReturnPicture",
    "ReturnRequest",
    "Shipment",
    "ShipmentLine",
    "ShippingMethod",
    "ShippingPrice",
    "StatusChange",
    "Stock",
    "StockHold",
    "StockMovement",
    "TaxRate",
    "Voucher",
    "VoucherUse",
]
