"""What an edit does to an order and to the shelf, inside a transaction of whoever holds the order's row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from notifications.pipeline.events import publish
from orders import inventory, numbers
from orders.discounts import worth
from orders.events import OrderEdited
from orders.models import Order, OrderEdit, OrderLine, Product, Stock, VoucherUse
from orders.offers import sold_in
from orders.pricing import InvalidOrder, Item, PricedLine, item_errors, priced_lines


@dataclass(frozen=True, kw_only=True)
class Revision:
    """What an order would be with other lines. Delivery and its tax stay as sold."""

    lines: Sequence[PricedLine]
    discount: int
    tax: int
    tax_included: int
    total: int

    @property
    def content(self) -> list[list[Any]]:
        return [[line.product.sku, line.quantity, line.unit_price, line.tax_rate] for line in self.lines]


def revise(order: Order, items: Sequence[Item]) -> Revision:
    """The order with these lines: those it has at the price and tax rate as sold, new ones at today's.

    A voucher of so many per cent counts anew, one of an amount as far as the goods are worth it.
    Raises InvalidOrder naming every bad field.
    """
    here = {line.product_id: line for line in order.lines.all()}
    # What is in the order may be withdrawn from sale by now.
    wanted = Product.objects.filter(Q(is_active=True) | Q(pk__in=here), sku__in={item.sku for item in items})
    country = order.shipping_address.get("country", "")
    products = {product.sku: product for product in sold_in(wanted, currency=order.currency, country=country)}
    for product in products.values():
        if sold := here.get(product.pk):
            product.unit_price, product.tax_rate = sold.unit_price, sold.tax_rate
    errors = list(item_errors(items, products, order.currency))
    if errors:
        raise InvalidOrder(errors)
    return _revised(order, items, products)


def _revised(order: Order, items: Sequence[Item], products: Mapping[str, Any]) -> Revision:
    subtotal = sum(products[item.sku].unit_price * item.quantity for item in items)
    discount = _discount(order, subtotal)
    includes_tax = order.tax_included > 0 or (order.tax == 0 and settings.PRICES_INCLUDE_TAX)
    lines = priced_lines(items, products, discount=discount, includes_tax=includes_tax)
    tax = sum(line.tax for line in lines) + _tax_of_delivery(order)
    on_top = 0 if includes_tax else tax
    return Revision(
        lines=lines,
        discount=discount,
        tax=on_top,
        tax_included=tax - on_top,
        total=subtotal + order.shipping + on_top - discount,
    )


def _discount(order: Order, subtotal: int) -> int:
    use = VoucherUse.objects.select_related("voucher").filter(order=order).first()
    return worth(use.voucher, subtotal) if use else min(order.discount, subtotal)


def _tax_of_delivery(order: Order) -> int:
    return order.tax + order.tax_included - sum(line.tax for line in order.lines.all())


def content_of(order: Order) -> list[list[Any]]:
    """The lines as they are: SKU, quantity, unit price and tax rate."""
    return [[line.sku, line.quantity, line.unit_price, line.tax_rate] for line in order.lines.order_by("pk")]


def _changes(edit: OrderEdit) -> dict[str, int]:
    before, after = ({sku: quantity for sku, quantity, *_ in content} for content in (edit.before, edit.after))
    return {sku: after.get(sku, 0) - before.get(sku, 0) for sku in before | after}


# -- it holds ---------------------------------------------------------------------------------


def apply(edit: OrderEdit) -> bool:
    """The difference is settled: the order becomes what the edit says, and what is held for it is sold.

    False, and the edit refused, when the order is no longer what was edited: money that came for it must go back.
    """
    order = Order.objects.get(pk=edit.order_id)
    revision = _as_agreed(order, edit)
    if revision is None:
        refuse(edit)
        return False
    _move_units(order, edit)
    _write(order, revision)
    _end(edit, OrderEdit.State.APPLIED)
    publish(OrderEdited(order_id=order.pk, edit_id=edit.pk, difference=edit.difference), about=order)
    if edit.difference > 0:
        numbers.invoice(order, amount=edit.difference)
    return True


def _as_agreed(order: Order, edit: OrderEdit) -> Revision | None:
    """What the order becomes, if it is still what the edit began with and comes to the price that was agreed."""
    touched = any(line.shipped or line.cancelled or line.refunded for line in order.lines.all())
    if order.status != Order.Status.PAID or touched or content_of(order) != edit.before:
        return None
    products: dict[str, Any] = {product.sku: product for product in _products_of(edit)}
    for sku, _, unit_price, tax_rate in edit.after:
        products[sku].unit_price, products[sku].tax_rate = unit_price, tax_rate
    revision = _revised(order, [Item(sku=sku, quantity=quantity) for sku, quantity, *_ in edit.after], products)
    return revision if revision.total - order.total == edit.difference else None


def _products_of(edit: OrderEdit) -> list[Product]:
    return list(Product.objects.filter(sku__in=_changes(edit)))


def _move_units(order: Order, edit: OrderEdit) -> None:
    changes = _changes(edit)
    products = {product.sku: product for product in _products_of(edit)}
    # Both ways at once, so both are locked first, in the order in which everybody locks them.
    list(Stock.objects.select_for_update().filter(product__in=products.values()).order_by("product_id"))
    inventory.sell(order=order, edit=edit)
    inventory.take_off(order=order, units={products[sku]: -count for sku, count in changes.items() if count < 0})


def _write(order: Order, revision: Revision) -> None:
    kept = {line.product_id: line for line in order.lines.all()}
    gone = set(kept) - {line.product.pk for line in revision.lines}
    order.lines.filter(product_id__in=gone).delete()
    for line in revision.lines:
        facts = {
            "quantity": line.quantity,
            "total": line.total,
            "discount": line.discount,
            "tax": line.tax,
        }
        if line.product.pk in kept:
            OrderLine.objects.filter(pk=kept[line.product.pk].pk).update(**facts)
        else:
            product = {"product": line.product, "sku": line.product.sku, "name": line.product.name}
            sold_at = {"unit_price": line.unit_price, "tax_rate": line.tax_rate}
            OrderLine.objects.create(order=order, **product, **sold_at, **facts)
    order.subtotal = sum(line.total for line in revision.lines)
    order.discount, order.total = revision.discount, revision.total
    order.tax, order.tax_included = revision.tax, revision.tax_included
    order.save(update_fields=["subtotal", "discount", "tax", "tax_included", "total"])


# -- it does not ------------------------------------------------------------------------------


def refuse(edit: OrderEdit) -> None:
    """The difference was not paid: the order stays as it was, and what was held for the edit is for sale again."""
    inventory.release(order=edit.order, edit=edit)
    _end(edit, OrderEdit.State.REFUSED)


def _end(edit: OrderEdit, state: OrderEdit.State) -> None:
    edit.state, edit.finished_at = state, timezone.now()
    edit.save(update_fields=["state", "finished_at"])
