"""What the doctor can mend by itself, said first and done only when told to.

Every repair is one of the shop's own verbs, or counts anew from the rows that are the truth: holds for what is
reserved, movements for what is on hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from notifications import correlation
from notifications.pipeline.events import publish
from orders import inventory, recovery, repairs, repayment, settlement
from orders.events import PaymentUnanswered
from orders.models import Difference, Order, OrderEdit, PaymentAttempt, Stock, StockHold, StockMovement


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One repair. `words` say what it would do; `mend` does it and may raise NotRepaired or GatewaySilent."""

    invariant: str
    words: str
    mend: Callable[[], object]


def fixes() -> Iterator[Fix]:
    """Every repair that the state of the books asks for now."""
    yield from _of_stock()
    yield from _of_holds()
    yield from _of_money()
    yield from _of_silence()


def _of_stock() -> Iterator[Fix]:
    held = dict(StockHold.objects.held().values_list("product").annotate(sum=Sum("quantity")))
    moved = dict(StockMovement.objects.values_list("product").annotate(sum=Sum("quantity")))
    for stock in Stock.objects.select_related("product").order_by("product_id"):
        reserved, on_hand = held.get(stock.product_id, 0), moved.get(stock.product_id, 0)
        if stock.reserved != reserved:
            words = f"{stock.product.sku}: {stock.reserved} reserved → {reserved}, as the holds say"
            yield Fix(invariant="I4", words=words, mend=partial(_count_holds, stock))
        if stock.on_hand != on_hand:
            more = stock.on_hand - on_hand
            words = f"{stock.product.sku}: a movement of {more:+d}, so that {stock.on_hand} on hand add up"
            yield Fix(invariant="I4", words=words, mend=partial(_explain, stock))


def _count_holds(stock: Stock) -> None:
    with transaction.atomic():
        Stock.objects.select_for_update().get(pk=stock.pk)
        held = StockHold.objects.held().filter(product=stock.product_id).aggregate(sum=Sum("quantity"))["sum"] or 0
        Stock.objects.filter(pk=stock.pk).update(reserved=held)


def _explain(stock: Stock) -> None:
    """The count on the shelf is believed: a correction tells of what no movement told."""
    with transaction.atomic():
        now = Stock.objects.select_for_update().get(pk=stock.pk)
        moved = StockMovement.objects.filter(product=stock.product_id).aggregate(sum=Sum("quantity"))["sum"] or 0
        if now.on_hand != moved:
            StockMovement.objects.create(
                product_id=stock.product_id,
                quantity=now.on_hand - moved,
                reason=StockMovement.Reason.CORRECTION,
                note="the doctor: movements did not add up",
                actor=correlation.actor(),
            )


def _of_holds() -> Iterator[Fix]:
    over = (
        StockHold.objects.held()
        .filter(expires_at__lt=timezone.now())
        .exclude(order__attempts__state__in=PaymentAttempt.OPEN)
    )
    ended = StockHold.objects.held().exclude(order__status=Order.Status.PLACED)
    idle = (over | ended).exclude(edit__state=OrderEdit.State.PENDING).select_related("order", "edit")
    for order, edit in {(hold.order, hold.edit) for hold in idle}:
        words = f"{order} ({order.status}): what it still holds is for sale again"
        yield Fix(invariant="I5", words=words, mend=partial(_let_go, order, edit))


def _let_go(order: Order, edit: OrderEdit | None) -> None:
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=order.pk)
        inventory.release(order=order, edit=edit)


def _of_money() -> Iterator[Fix]:
    yield Fix(invariant="I1", words="compare the last 48 hours with the gateway", mend=settlement.settle_books)
    for difference in Difference.objects.open().order_by("pk"):
        words = f"{difference}: {difference.detail}"
        yield Fix(invariant="I1", words=words, mend=partial(repairs.repair, difference, by=correlation.actor()))


def _of_silence() -> Iterator[Fix]:
    for attempt in recovery.forgotten():
        words = f"{attempt.order}: ask the gateway about its payment"
        yield Fix(invariant="I12", words=words, mend=partial(_ask_again, attempt))
    for refund in repayment.forgotten_refunds():
        words = f"{refund.order}: carry out the refund of {refund.amount} {refund.currency}"
        yield Fix(invariant="I12", words=words, mend=partial(repayment.carry_out, refund_id=refund.pk))


def _ask_again(attempt: PaymentAttempt) -> None:
    with transaction.atomic():
        publish(PaymentUnanswered(order_id=attempt.order_id, attempt_id=str(attempt.pk)), about=attempt.order)
