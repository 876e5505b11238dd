"""What staff see of the shop."""

from orders.admin import catalog, orders, stock, terms, vouchers

__all__ = ["catalog", "orders", "stock", "terms", "vouchers"]
