"""The shop as it should be, in a hundred lines: no database, no bank, no deaths. Amounts in minor units.

Each method says which status its HTTP call must be answered with, and changes the model as the call must change the
shop. The bank of the model is always there; a card that `breaks` charges and says nothing of it at first.
"""

from dataclasses import dataclass, field

SHIPPING = 490
CARDS = {
    "pm_card_visa": "paid",
    "pm_bank_error_after_charge": "placed",
    "pm_card_chargeDeclined": "declined",
}


@dataclass
class Line:
    price: int
    quantity: int
    shipped: int = 0
    cancelled: int = 0
    refunded: int = 0

    @property
    def unsent(self):
        return self.quantity - self.shipped - self.cancelled


@dataclass
class Order:
    lines: dict[str, Line]
    status: str
    charged: int = 0
    given_back: int = 0
    answered: int = 0  # the final status its key was answered with; 0 while there is none

    @property
    def total(self):
        return sum(line.price * line.quantity for line in self.lines.values()) + SHIPPING

    @property
    def left(self):
        return self.charged - self.given_back


@dataclass
class Shop:
    prices: dict[str, int] = field(default_factory=dict)
    available: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)  # by the key under which they were asked for

    def stock(self, sku, price, units):
        self.prices[sku], self.available[sku] = price, self.available.get(sku, 0) + units

    def check_out(self, key, items, card):
        if any(self.available[sku] < count for sku, count in items.items()):
            return 409
        order = Order({sku: Line(self.prices[sku], count) for sku, count in items.items()}, CARDS[card])
        self.orders[key] = order
        if order.status != "declined":
            order.charged = order.total
            self._take(items)
        return self.repeat(key)

    def repeat(self, key):
        """The final answer once there is one; who hears of it only now hears how the order is now."""
        order = self.orders.get(key)
        if order is None:
            return 409
        if not order.answered and order.status != "placed":
            order.answered = 402 if order.status in ("declined", "cancelled") else 201
        return order.answered or 202

    def hear_from_bank(self):
        """Whatever was open is paid: the bank has said so, or was asked."""
        for order in self.orders.values():
            if order.status == "placed":
                order.status = "paid"

    def cancel(self, key):
        order = self.orders[key]
        if order.status not in ("placed", "paid"):
            return 409
        self._put_back({sku: line.unsent for sku, line in order.lines.items()})
        for line in order.lines.values():
            line.cancelled += line.unsent
        order.status, order.given_back = "cancelled", order.charged
        return 200

    def refund_amount(self, key, amount):
        order = self.orders[key]
        if not self._refundable(order) or not 0 < amount <= order.left:
            return 409
        return self._give_back(order, amount)

    def refund_units(self, key, sku, count, restock):
        order = self.orders[key]
        line = order.lines[sku]
        worth = line.price * count
        if not self._refundable(order) or count > line.quantity - line.refunded or worth > order.left:
            return 409
        unsent = min(count, line.unsent)
        line.refunded, line.cancelled = line.refunded + count, line.cancelled + unsent
        self._put_back({sku: unsent} if restock else {})
        return self._give_back(order, worth)

    def ship(self, key, sku=None, count=0):
        order = self.orders[key]
        chosen = {sku: count} if sku else {sku: line.unsent for sku, line in order.lines.items() if line.unsent}
        too_many = any(not 1 <= count <= order.lines[sku].unsent for sku, count in chosen.items())
        if order.status not in ("paid", "partly_shipped") or not chosen or too_many:
            return 409
        for sku, count in chosen.items():
            order.lines[sku].shipped += count
        order.status = "partly_shipped" if any(line.unsent for line in order.lines.values()) else "shipped"
        return 201

    def _refundable(self, order):
        return order.status in ("paid", "partly_shipped", "shipped", "cancelled")

    def _give_back(self, order, amount):
        order.given_back += amount
        if not order.left and order.status != "cancelled":
            order.status = "refunded"
        return 201

    def _take(self, items):
        for sku, count in items.items():
            self.available[sku] -= count

    def _put_back(self, items):
        for sku, count in items.items():
            self.available[sku] += count
