"""What a visitor means to buy: SKUs and quantities in the session, and no row until checkout."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.sessions.backends.base import SessionBase
from django.db.models import Q

from orders.gallery import with_pictures
from orders.models import Order, Product
from orders.offers import sold_in
from orders.pricing import MOST_OF_ONE, Item

_CART: Final = "cart"
_TOKEN: Final = "cart_token"  # noqa: S105
_VISITOR: Final = "visitor"
_VOUCHER: Final = "voucher"
_COUNTRY: Final = "country"
_PAYING: Final = "paying"
_MOST_PAYING: Final = 5


@dataclass(frozen=True, kw_only=True)
class CartLine:
    product: Product
    quantity: int
    unit_price: int | None  # minor units; None: not sold in the cart's currency
    shortage: int | None  # what is left, when that is less than the quantity

    @property
    def total(self) -> int:
        return (self.unit_price or 0) * self.quantity

    @property
    def can_be_bought(self) -> bool:
        return self.unit_price is not None and self.shortage is None


@dataclass(frozen=True, kw_only=True)
class Cart:
    lines: Sequence[CartLine]
    currency: str

    @property
    def subtotal(self) -> int:
        return sum(line.total for line in self.lines)

    @property
    def digest(self) -> str:
        """The same for the same things in the same quantities and the same currency."""
        things = sorted(f"{line.product.sku} {line.quantity}" for line in self.lines)
        return hashlib.sha256("\n".join([self.currency, *things]).encode()).hexdigest()

    @property
    def can_be_bought(self) -> bool:
        return bool(self.lines) and all(line.can_be_bought for line in self.lines)

    @property
    def items(self) -> list[Item]:
        return [Item(sku=line.product.sku, quantity=line.quantity) for line in self.lines]


def contents(session: SessionBase, *, currency: str) -> Cart:
    """The cart with today's prices in this currency, and today's stock. Products no longer sold are left out."""
    wanted: dict[str, int] = session.get(_CART, {})
    found = Product.objects.active().filter(sku__in=wanted, stock__isnull=False).select_related("stock")
    products = {product.sku: product for product in with_pictures(sold_in(found, currency=currency))}
    lines = [_line(products[sku], quantity) for sku, quantity in wanted.items() if sku in products]
    return Cart(lines=lines, currency=currency)


def _line(product: Any, quantity: int) -> CartLine:
    left = product.stock.available
    return CartLine(
        product=product,
        quantity=quantity,
        unit_price=product.unit_price,
        shortage=left if left < quantity else None,
    )


def count(session: SessionBase) -> int:
    """How many things are in the cart, without asking the database (every page shows it)."""
    return sum(session.get(_CART, {}).values())


def add(session: SessionBase, *, sku: str, quantity: int) -> int:
    """Put that many more into the cart. Returns how many are in it now, at most MOST_OF_ONE."""
    return change(session, sku=sku, quantity=session.get(_CART, {}).get(sku, 0) + max(quantity, 1))


def change(session: SessionBase, *, sku: str, quantity: int) -> int:
    """Set how many of one product. Below one takes it out; the most is MOST_OF_ONE. Returns what it is now."""
    quantity = max(0, min(quantity, MOST_OF_ONE))
    wanted = dict(session.get(_CART, {}))
    if quantity:
        wanted[sku] = quantity
    else:
        wanted.pop(sku, None)
    session[_CART] = wanted
    token(session), visitor(session)  # now, not at the checkout: two tabs sent at once must already agree on them
    return quantity


def take_out(session: SessionBase, bought: Mapping[str, int]) -> None:
    """Take what was bought (SKU and quantity) out of the cart, and leave what another tab put in meanwhile.

    The token and the voucher go too: what is left is another purchase.
    """
    now: dict[str, int] = type(session)(session.session_key).get(_CART, {})
    left = {sku: quantity - bought.get(sku, 0) for sku, quantity in now.items()}
    session[_CART] = {sku: quantity for sku, quantity in left.items() if quantity > 0}
    session.pop(_TOKEN, None)
    session.pop(_VOUCHER, None)


def token(session: SessionBase) -> str:
    """The name of this cart, the same until it is cleared, so that two tabs cannot buy it twice."""
    found: str | None = session.get(_TOKEN)
    if found is None:
        found = session[_TOKEN] = uuid.uuid4().hex
    return found


def visitor(session: SessionBase) -> str:
    """The name of whoever has this session: unlike the cart's it stays when the cart is cleared, or somebody signs in.

    What one visitor's form was answered is never told to another who sends the same form.
    """
    found: str | None = session.get(_VISITOR)
    if found is None:
        found = session[_VISITOR] = uuid.uuid4().hex
    return found


def voucher(session: SessionBase) -> str:
    """The code that the visitor has applied; empty when there is none."""
    code: str = session.get(_VOUCHER, "")
    return code


def use_voucher(session: SessionBase, code: str) -> None:
    """Keep the code for the cart and the checkout; an empty one takes it away."""
    if code != voucher(session):
        session[_VOUCHER] = code


def country(session: SessionBase) -> str:
    """Where the visitor last wanted things sent to, as far as it is known: its taxes are shown in the cart."""
    code: str = session.get(_COUNTRY, "")
    return code


def send_to(session: SessionBase, code: str) -> None:
    if code != country(session):
        session[_COUNTRY] = code


# -- what is being paid -----------------------------------------------------------------------


def remember_payment(session: SessionBase, order: Order) -> None:
    """This visitor has begun to pay for the order, and will come back from the bank's page without its signed link."""
    numbers = [number for number in session.get(_PAYING, []) if number != order.number]
    session[_PAYING] = [*numbers, order.number][-_MOST_PAYING:]


def is_paying(session: SessionBase, number: str) -> bool:
    return number in session.get(_PAYING, [])


def being_paid(session: SessionBase) -> Order | None:
    """The newest order of this visitor that waits for its payment; its things are held."""
    numbers, cart_token = session.get(_PAYING, []), session.get(_TOKEN)
    if not (numbers or cart_token):
        return None
    mine = Q(number__in=numbers) | Q(cart_token=cart_token, cart_token__isnull=False)
    waiting = Order.objects.filter(mine, status=Order.Status.PLACED, cancel_wanted_at=None)
    return waiting.order_by("placed_at").prefetch_related("attempts", "holds").last()
