"""Staff change what is in a paid order before it leaves. More money is charged for, less is given back."""

from collections.abc import Sequence

from django.db import transaction

from notifications import correlation
from notifications.audit import log as audit
from orders import idempotency, inventory, refunds, repayment
from orders.gateways import stripe
from orders.idempotency import Key
from orders.inventory import OutOfStock
from orders.models import Order, OrderEdit, PaymentAttempt, Refund
from orders.payments import charge_of, settle
from orders.pricing import FieldError, InvalidOrder, Item, PricedLine, unpayable
from orders.revising import Revision, apply, content_of, revise

__all__ = ["DifferenceDeclined", "InvalidOrder", "Item", "NotEditable", "OutOfStock", "edit"]


class NotEditable(Exception):
    """The order cannot be changed; the message says why. Nothing was held, charged or given back."""


class DifferenceDeclined(Exception):
    """The bank said no to the difference. The order stays as it was, nothing was charged."""

    def __init__(self, edit: OrderEdit, *, code: str, message: str) -> None:
        super().__init__(message or "The payment was declined.")
        self.edit, self.code, self.message = edit, code, message


def edit(*, order: Order, lines: Sequence[Item], reason: str, key: Key | None = None) -> OrderEdit:
    """Make `lines` the whole content of a paid order of which nothing has left.

    What is in the order keeps its price, what is new gets today's, delivery stays as it is. Returns the edit:
    `applied`, or `pending` while the bank has not said whether the difference is paid (it is found out afterwards).
    Raises NotEditable, InvalidOrder, OutOfStock, DifferenceDeclined or KeyReused; the order is then as it was.
    """
    made = idempotency.once(
        key,
        make=lambda: _carried_out(_decide(order.pk, lines, reason, key)),
        find=lambda made: OrderEdit.objects.get(pk=made.removeprefix("edit:")),
    )
    if made.state == OrderEdit.State.REFUSED:
        raise DifferenceDeclined(made, code=made.attempt.code, message=made.attempt.message)
    return made


def _decide(order_id: int, lines: Sequence[Item], reason: str, key: Key | None) -> OrderEdit:
    """Write the edit down: done when it costs nothing more, else with its units held and its payment begun."""
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update(of=("self",)).get(pk=order_id)
        revision = revise(order, lines)
        _refuse_unless_editable(order, revision)
        made = OrderEdit.objects.create(
            order=order,
            before=content_of(order),
            after=revision.content,
            difference=revision.total - order.total,
            reason=reason[:200],
            actor=correlation.actor(),
        )
        audit.decided("order.edit", about=order, before={"lines": made.before}, after={"lines": made.after})
        if key is not None:
            idempotency.claim(key=key, order=order, made=f"edit:{made.pk}")
        _hold_more(made, order, revision)
        if made.difference > 0:
            _begin_payment(made, order)
        else:
            applied = apply(made)
            assert applied, "its row is locked, so nobody has changed it since"
        if made.difference < 0:
            refunds.request(order=order, amount=-made.difference, cause=Refund.Cause.EDIT, reason=reason)
    return made


def _refuse_unless_editable(order: Order, revision: Revision) -> None:
    reason = _why_not(order, dearer=revision.total >= order.total)
    if reason:
        raise NotEditable(reason)
    if sorted(revision.content) == sorted(content_of(order)):
        raise InvalidOrder([FieldError(field="items", detail="These are the lines that the order has already.")])
    problem = unpayable(revision.total, order.currency)
    if problem:
        raise InvalidOrder([FieldError(field="items", detail=problem)])


def _why_not(order: Order, *, dearer: bool) -> str:
    if order.status != Order.Status.PAID or order.cancel_wanted_at is not None:
        return f"Only a paid order of which nothing has left can be changed; this one is {order.get_status_display()}."
    if order.edits.filter(state=OrderEdit.State.PENDING).exists():
        return "An earlier change of this order still waits for its payment."
    other = order.refunds.exclude(state=Refund.State.FAILED).exclude(cause=Refund.Cause.EDIT)
    if other.exists() or any(line.refunded or line.cancelled for line in order.lines.all()):
        return "Money of this order has been given back, so its lines stay as they are."
    if not dearer and order.attempts.filter(state=PaymentAttempt.State.AUTHORIZED).exists():
        return "The money is only held at the bank, all or none of it: the order cannot become cheaper."
    return ""


def _hold_more(made: OrderEdit, order: Order, revision: Revision) -> None:
    """Promise the edit what it has more than the order: the buyer pays for nothing that is gone."""
    had = {sku: quantity for sku, quantity, *_ in made.before}
    more = [(line, line.quantity - had.get(line.product.sku, 0)) for line in revision.lines]
    held = [
        PricedLine(product=line.product, quantity=count, unit_price=line.unit_price)
        for line, count in more
        if count > 0
    ]
    inventory.hold(order=order, lines=held, edit=made)


def _begin_payment(made: OrderEdit, order: Order) -> None:
    paid_with = order.attempts.filter(purpose=PaymentAttempt.Purpose.ORDER).latest("started_at")
    PaymentAttempt.objects.create(
        order=order,
        purpose=PaymentAttempt.Purpose.DIFFERENCE,
        edit=made,
        amount=made.difference,
        currency=order.currency,
        payment_method=paid_with.payment_method,
    )


def _carried_out(made: OrderEdit) -> OrderEdit:
    """Ask the bank, no transaction open. Killed before or after, open payments and refunds are followed up."""
    if made.difference > 0:
        attempt = PaymentAttempt.objects.select_related("order").get(edit=made)
        settle(attempt_id=attempt.pk, outcome=stripe.charge(charge_of(attempt)))
    elif made.difference < 0:
        for refund in made.order.refunds.filter(cause=Refund.Cause.EDIT, state=Refund.State.REQUESTED):
            repayment.carry_out(refund_id=refund.pk)
    return OrderEdit.objects.get(pk=made.pk)
