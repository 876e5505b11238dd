"""What staff see of the shop."""

from orders.admin import catalog, orders

__all__ = ["catalog", "orders"]
