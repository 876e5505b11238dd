"""What becomes of an order after it was placed: cancel it, ship it, take goods back, call it complete."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from notifications import correlation
from notifications.audit import log as audit
from notifications.pipeline.events import publish
from orders import idempotency, inventory, recovery, refunds, repayment
from orders.compensation import undo_paid
from orders.events import OrderShipped, PaymentUnanswered
from orders.gateways import stripe
from orders.idempotency import Key
from orders.models import (
    Order,
    OrderEdit,
    OrderLine,
    PaymentAttempt,
    Refund,
    Shipment,
    ShipmentLine,
    StatusChange,
    StockMovement,
)
from orders.payments import settle
from orders.refunds import BadUnits, Units, merged
from orders.status import WrongStatus, move

S = Order.Status
COMPLETE_AFTER = timedelta(days=14)  # the time to withdraw from a purchase, from the last parcel on


class NotPaid(Exception):
    """The money of this order, held at the bank until now, could not be taken. Nothing was shipped."""


# -- cancel -----------------------------------------------------------------------------------


def cancel(*, order: Order, reason: str = "", key: Key | None = None) -> Order:
    """Call off an order of which nothing has left: its goods are for sale again, its money goes back.

    Returns the order as it is now: `cancelled`; or still `placed` when the bank did not answer (it is followed up);
    or whatever the bank's answer made of it, when the card was declined meanwhile. Raises WrongStatus when goods
    have left or the order has ended otherwise.
    """
    idempotency.once(
        key,
        make=lambda: _call_off(order.pk, reason, key),
        find=lambda made: int(made.removeprefix("cancelled:")),
    )
    for attempt in PaymentAttempt.objects.filter(order=order.pk):
        recovery.ask_gateway(attempt_id=attempt.pk)
    for refund in Refund.objects.open().filter(order=order.pk, cause=Refund.Cause.CANCELLED):
        repayment.carry_out(refund_id=refund.pk)
    return Order.objects.get(pk=order.pk)


def _call_off(order_id: int, reason: str, key: Key | None) -> int:
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update().get(pk=order_id)
        _refuse_while_edited(order)
        before = {"status": str(order.status)}
        if order.status == S.PLACED:
            _wish(order, reason)
        else:
            undo_paid(order, reason=reason)
        audit.decided("order.cancel", about=order, before=before, after={"status": str(order.status)})
        if key is not None:
            idempotency.claim(key=key, made=f"cancelled:{order_id}")
    return order_id


def _wish(order: Order, reason: str) -> None:
    """While the bank is at it, only the bank can say whether the payment can still be stopped: write down the wish.

    Should the money come first, the wish undoes the sale in the transaction that writes it down.
    """
    if order.cancel_wanted_at is None:
        Order.objects.filter(pk=order.pk).update(cancel_wanted_at=timezone.now(), cancel_reason=reason[:200])
    attempt = order.attempts.latest("started_at")
    publish(PaymentUnanswered(order_id=order.pk, attempt_id=str(attempt.pk)), about=order)


def _refuse_while_edited(order: Order) -> None:
    if order.edits.filter(state=OrderEdit.State.PENDING).exists():
        raise WrongStatus(f"{order} is being changed: its price difference is with the bank")


# -- ship -------------------------------------------------------------------------------------


def ship(
    *, order: Order, lines: Sequence[Units] = (), carrier: str = "", tracking: str = "", key: Key | None = None
) -> Shipment:
    """Write down that a parcel left: these units, or all that is still here.

    Money that is only held is taken first. Raises WrongStatus, BadUnits, or NotPaid when the bank let go of it.
    """
    return idempotency.once(
        key,
        make=lambda: _ship(order, lines, carrier, tracking, key),
        find=lambda made: Shipment.objects.get(pk=made.removeprefix("shipment:")),
    )


def _ship(order: Order, lines: Sequence[Units], carrier: str, tracking: str, key: Key | None) -> Shipment:
    _refuse_unless_shippable(Order.objects.get(pk=order.pk))  # before any money is taken
    _take_held_money(order)
    with transaction.atomic(durable=True):
        locked = Order.objects.select_for_update().get(pk=order.pk)
        _refuse_unless_shippable(locked)
        parcel = Shipment.objects.create(
            order=locked, carrier=carrier[:60], tracking=tracking[:100], actor=correlation.actor()
        )
        _pack(locked, parcel, lines)
        _move_on(locked)
        publish(OrderShipped(order_id=locked.pk, shipment_id=parcel.pk), about=locked)
        audit.decided("order.ship", about=locked, after={"shipment": parcel.pk, "status": str(locked.status)})
        if key is not None:
            idempotency.claim(key=key, made=f"shipment:{parcel.pk}")
    return parcel


def _refuse_unless_shippable(order: Order) -> None:
    _refuse_while_edited(order)
    if order.status not in (S.PAID, S.PARTLY_SHIPPED):
        raise WrongStatus(f"{order} is {order.status}: it cannot be shipped")


def _take_held_money(order: Order) -> None:
    held = PaymentAttempt.objects.filter(order=order.pk, state=PaymentAttempt.State.AUTHORIZED)
    for attempt in held.select_related("order"):
        outcome = stripe.capture(attempt.gateway_id or "")
        settle(attempt_id=attempt.pk, outcome=outcome)
        attempt.refresh_from_db()
        if attempt.state != PaymentAttempt.State.SUCCEEDED:
            raise NotPaid(outcome.message or "The bank has not paid what it held for this order.")


def _pack(order: Order, parcel: Shipment, lines: Sequence[Units]) -> None:
    rows = {line.sku: line for line in order.lines.order_by("pk")}
    chosen = merged(lines) or [Units(sku=line.sku, quantity=line.shippable) for line in rows.values() if line.shippable]
    if not chosen:
        raise WrongStatus(f"nothing of {order} is left to ship")
    for units in chosen:
        line = rows.get(units.sku)
        if line is None or not 1 <= units.quantity <= line.shippable:
            raise BadUnits(units.sku, wanted=units.quantity, left=line.shippable if line else 0)
        OrderLine.objects.filter(pk=line.pk).update(shipped=F("shipped") + units.quantity)
        ShipmentLine.objects.create(shipment=parcel, line=line, quantity=units.quantity)


def _move_on(order: Order) -> None:
    waiting = any(line.shippable for line in order.lines.all())
    to = S.PARTLY_SHIPPED if waiting else S.SHIPPED
    if order.status != to:
        move(order, to)


# -- take back, complete ----------------------------------------------------------------------


def take_back(
    *,
    order: Order,
    lines: Sequence[Units],
    restock: bool,
    refund: bool,
    reason: str = "",
    key: Key | None = None,
) -> list[Refund]:
    """Goods came back: count them, put them on the shelf if they can be sold again, give the money back if so decided.

    Returns the refunds, none without `refund`. Raises BadUnits for more than was shipped, OverRefund, WrongStatus.
    """
    made = idempotency.once(
        key,
        make=lambda: _take_back(order.pk, lines, restock, refund, reason, key),
        find=lambda made: made.removeprefix("return:"),
    )
    ids = [one for one in made.split(",") if one]
    for one in Refund.objects.filter(pk__in=ids):
        repayment.carry_out(refund_id=one.pk)
    return list(Refund.objects.filter(pk__in=ids))


def _take_back(order_id: int, lines: Sequence[Units], restock: bool, refund: bool, reason: str, key: Key | None) -> str:
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update().get(pk=order_id)
        back = _count_returned(order, lines)
        order.return_requests.filter(state="open").update(state="accepted", finished_at=timezone.now())
        if restock:
            inventory.put_back(order=order, units=back, reason=StockMovement.Reason.RETURN)
        made = refunds.decide(order, lines=lines, reason=reason, cause=Refund.Cause.RETURN) if refund else []
        ids = ",".join(str(one.pk) for one in made)
        units = [[one.sku, one.quantity] for one in lines]
        audit.decided("order.take_back", about=order, after={"units": units, "refunds": refunds.as_facts(made)})
        if key is not None:
            idempotency.claim(key=key, made=f"return:{ids}")
    return ids


def _count_returned(order: Order, lines: Sequence[Units]) -> dict[OrderLine, int]:
    rows = {line.sku: line for line in order.lines.select_related("product")}
    back = {}
    for units in merged(lines):
        line = rows.get(units.sku)
        left = line.shipped - line.returned if line else 0
        if line is None or not 1 <= units.quantity <= left:
            raise BadUnits(units.sku, wanted=units.quantity, left=left)
        OrderLine.objects.filter(pk=line.pk).update(returned=F("returned") + units.quantity)
        back[line] = units.quantity
    return back


def complete_old() -> int:
    """Call complete what was shipped long enough ago. Returns how many orders that were."""
    long_ago = timezone.now() - COMPLETE_AFTER
    late = StatusChange.objects.filter(to_status=S.SHIPPED, at__gt=long_ago).values("order")
    done = 0
    for order in Order.objects.filter(status=S.SHIPPED).exclude(pk__in=late):
        with transaction.atomic():
            move(order, S.COMPLETED)
        done += 1
    return done
