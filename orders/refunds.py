"""Money that goes back: decided in one short transaction, asked of the gateway, written down in another.

What may go back is counted on the payment itself (`refunded`, within `captured` by a CHECK), so that any number of
requests at once give back no more than was taken. A refund's id is its key at the gateway.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.db.models import F

from notifications import correlation
from notifications.audit import log as audit
from notifications.pipeline.events import publish
from orders import idempotency, inventory
from orders.idempotency import Key
from orders.models import Order, OrderLine, PaymentAttempt, Refund, StockMovement
from orders.repayment import carry_out, refundable, requested
from orders.status import WrongStatus, move

State, Cause = Refund.State, Refund.Cause
REFUNDABLE = (S := Order.Status).PAID, S.PARTLY_SHIPPED, S.SHIPPED, S.COMPLETED, S.REFUND_DUE, S.CANCELLED


class OverRefund(Exception):
    """More than is left of what was taken. `left` in minor units."""

    def __init__(self, left: int) -> None:
        super().__init__(f"Only {left} is left to give back." if left else "Nothing is left to give back.")
        self.left = left


class BadUnits(Exception):
    """The order has not that many units of this line to give back, ship or take back."""

    def __init__(self, sku: str, *, wanted: int, left: int) -> None:
        super().__init__(f"{sku}: {wanted} wanted, {left} possible")
        self.sku, self.wanted, self.left = sku, wanted, left


@dataclass(frozen=True, kw_only=True)
class Units:
    """So many of one line of an order."""

    sku: str
    quantity: int


def merged(lines: Sequence[Units]) -> list[Units]:
    """Each SKU once, with all that was asked of it."""
    counts: dict[str, int] = {}
    for units in lines:
        counts[units.sku] = counts.get(units.sku, 0) + units.quantity
    return [Units(sku=sku, quantity=count) for sku, count in counts.items()]


# -- staff decide -----------------------------------------------------------------------------


def refund(
    *,
    order: Order,
    amount: int | None = None,
    lines: Sequence[Units] = (),
    reason: str = "",
    restock: bool = False,
    cause: Refund.Cause = Cause.STAFF,
    key: Key | None = None,
) -> list[Refund]:
    """Give back an amount, or what these lines cost, or all that is left; then ask the gateway at once.

    With `lines`, units that have not left are taken out of the order; with `restock` they are for sale again.
    Returns the refunds (one for each payment that the money came from): `done`, `failed`, or open while the gateway
    has not answered, which is followed up. Raises OverRefund, BadUnits, WrongStatus, or KeyReused.
    """
    wanted = partial(decide, amount=amount, lines=lines, reason=reason, restock=restock, cause=cause)
    return _given_back(order, wanted, cause, key)


def again(*, lost: Refund, key: Key | None = None) -> list[Refund]:
    """Ask anew for a refund that failed: the same amount, of the same lines, of which nothing more is taken out.

    Returns what `refund` returns, and raises what it raises; WrongStatus also when the failed one was made good since.
    """
    return _given_back(lost.order, lambda held: _decide_again(held, lost), Cause(lost.cause), key)


def _given_back(
    order: Order, choose: Callable[[Order], list[Refund]], cause: Refund.Cause, key: Key | None
) -> list[Refund]:
    decided = idempotency.once(
        key,
        make=lambda: _decide(order, choose, cause, key),
        find=lambda made: list(Refund.objects.filter(pk__in=filter(None, made.removeprefix("refund:").split(",")))),
    )
    for one in decided:
        carry_out(refund_id=one.pk)
    return list(Refund.objects.filter(pk__in=[one.pk for one in decided]).order_by("created_at"))


def _decide(
    given: Order, choose: Callable[[Order], list[Refund]], cause: Refund.Cause, key: Key | None
) -> list[Refund]:
    with transaction.atomic(durable=True):
        order = Order.objects.select_for_update().get(pk=given.pk)
        made = choose(order)
        audit.decided("order.refund", about=order, after={"refunds": as_facts(made), "cause": str(cause)})
        if key is not None:
            idempotency.claim(key=key, made="refund:" + ",".join(str(one.pk) for one in made))
    return made


def _decide_again(order: Order, lost: Refund) -> list[Refund]:
    if not order.refunds.lost().filter(pk=lost.pk).exists():
        raise WrongStatus(f"the refund of {lost} was made good since")
    lines = [Units(sku=sku, quantity=count) for sku, count in lost.lines]
    return decide(order, amount=lost.amount, lines=lines, reason=lost.reason, cause=Cause(lost.cause), out_already=True)


def as_facts(made: Sequence[Refund]) -> list[dict[str, object]]:
    """For the audit log."""
    return [{"refund": str(one.pk), "amount": one.amount, "currency": one.currency} for one in made]


def decide(
    order: Order,
    *,
    amount: int | None = None,
    lines: Sequence[Units] = (),
    reason: str = "",
    restock: bool = False,
    cause: Refund.Cause,
    out_already: bool = False,
) -> list[Refund]:
    """What `refund` decides, inside a transaction that holds the order's row. With `out_already`, no units leave it."""
    if order.status not in REFUNDABLE:
        raise WrongStatus(f"{order} is {order.status}: there is nothing to give back")
    # On our shelves, what has not been sent.
    waiting = order.paid_at is not None and cause != Cause.RETURN and not out_already
    lines = merged(lines)
    worth = _take_out(order, lines, restock=restock, waiting=waiting) if lines else refundable(order)
    if restock and waiting and not lines:
        lines = _take_out_unsent(order)
    wanted = worth if amount is None else amount
    if lines and wanted == 0:
        return []  # they cost nothing: taking them out is all
    made = request(order=order, amount=wanted, cause=cause, reason=reason, lines=lines)
    if refundable(order) == 0 and order.status not in (S.REFUND_DUE, S.CANCELLED):
        move(order, S.REFUND_DUE, reason=reason)
    return made


def _take_out(order: Order, lines: Sequence[Units], *, restock: bool, waiting: bool = True) -> int:
    """Count the units as given back, and as taken out where they have not left. Returns what they cost.

    Units that are not `waiting` with us had left and came back, or were never sold: the shelf has nothing of them.
    """
    worth, back, owed = 0, {}, _owed(order)
    rows = {line.sku: line for line in order.lines.select_related("product").order_by("product_id")}
    for units in sorted(lines, key=lambda units: rows[units.sku].product_id if units.sku in rows else 0):
        line = rows.get(units.sku)
        left = line.quantity - line.refunded if line else 0
        if line is None or not 1 <= units.quantity <= left:
            raise BadUnits(units.sku, wanted=units.quantity, left=left)
        unsent = min(max(units.quantity - _first_of(line, owed), 0), line.shippable) if waiting else 0
        worth += worth_of(order, line, units.quantity)
        OrderLine.objects.filter(pk=line.pk).update(
            refunded=F("refunded") + units.quantity, cancelled=F("cancelled") + unsent
        )
        back[line] = unsent
    if restock:
        inventory.put_back(order=order, units=back, reason=StockMovement.Reason.CANCELLED)
    return worth


def _owed(order: Order) -> Counter[str]:
    """Units of each SKU whose refund failed: they were taken out, or came back, and are not given back for."""
    owed: Counter[str] = Counter()
    for lost in order.refunds.lost():
        for sku, count in lost.lines:
            owed[sku] += count
    return owed


def _first_of(line: OrderLine, owed: Counter[str]) -> int:
    """Units that come first when the line is given back for: nothing more is taken out for them."""
    return max(min(owed[line.sku], line.cancelled + line.returned - line.refunded), 0)


def _take_out_unsent(order: Order) -> list[Units]:
    unsent = [Units(sku=line.sku, quantity=line.shippable) for line in order.lines.all() if line.shippable]
    _take_out(order, unsent, restock=True)
    return unsent


def worth_of(order: Order, line: OrderLine, count: int) -> int:
    """What the next `count` units of a line cost the buyer. All parts of a line add up to the line, to the cent."""
    paid = line.total - line.discount + (line.tax if order.tax else 0)
    before = paid * line.refunded // line.quantity
    return paid * (line.refunded + count) // line.quantity - before


def request(
    *,
    order: Order,
    amount: int,
    cause: Refund.Cause,
    reason: str = "",
    lines: Sequence[Units] = (),
    attempt: PaymentAttempt | None = None,
) -> list[Refund]:
    """Decide, inside the caller's transaction, to give `amount` back, of this attempt's money or of any.

    Raises OverRefund. Nothing is asked of the gateway here: the event sees to it, or the caller after its commit.
    """
    sources = order.attempts.filter(captured__gt=F("refunded")).order_by("-started_at")
    left = {one: one.captured - one.refunded for one in (sources.filter(pk=attempt.pk) if attempt else sources)}
    if not 0 < amount <= sum(left.values()):
        raise OverRefund(sum(left.values()))
    made: list[Refund] = []
    for one, room in left.items():
        part = min(amount, room)
        if part:
            made.append(_request_of(one, order, part, cause, reason, () if made else lines))
        amount -= part
    return made


def _request_of(
    attempt: PaymentAttempt, order: Order, amount: int, cause: Refund.Cause, reason: str, lines: Sequence[Units]
) -> Refund:
    room = PaymentAttempt.objects.filter(pk=attempt.pk, captured__gte=F("refunded") + amount)
    if not room.update(refunded=F("refunded") + amount):
        raise OverRefund(attempt.captured - attempt.refunded)
    made = Refund.objects.create(
        order=order,
        attempt=attempt,
        amount=amount,
        currency=attempt.captured_currency or attempt.currency,
        cause=cause,
        reason=reason[:200],
        lines=[[units.sku, units.quantity] for units in lines],
        actor=correlation.actor(),
    )
    publish(requested(made), about=order)
    return made
