"""What staff see of the shop."""

from orders.admin import catalog, differences, gateway, orders, stock, terms, vouchers

__all__ = ["catalog", "differences", "gateway", "orders", "stock", "terms", "vouchers"]
