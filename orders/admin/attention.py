"""Which orders need a person, why, and what mends them."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import BigIntegerField, CharField, Count, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat, Substr
from django.urls import reverse

from notifications.pipeline.events import subject_of
from notifications.pipeline.failures import Failure
from notifications.pipeline.models import Delivery
from orders.models import Difference, Order, PaymentAttempt, Refund, ReturnRequest
from orders.returning import open_request
from orders.templatetags.shop import money

# The bank did not answer, or answered something that we did not ask for.
DOUBTFUL = (PaymentAttempt.State.UNKNOWN, PaymentAttempt.State.MISMATCH)
KIND = "order:"  # what the references to orders begin with
ASKS_THE_BANK = "orders.ask_gateway"


@dataclass(frozen=True, kw_only=True)
class Attention:
    """One thing that is wrong. tone: bad (a person must act) or warn (it is being seen to).

    `button` tries the delivery `failure` again, or posts to `action` if `permission` is given; `url` is a page.
    """

    tone: str
    sentence: str
    detail: str = ""
    failure: Delivery | None = None
    button: str = ""
    action: str = ""
    permission: str = ""
    url: str = ""


def _about_the_order() -> QuerySet[Delivery]:
    subject = Concat(Value(KIND), Cast(OuterRef("pk"), CharField()))
    return Delivery.objects.filter(event__subject=subject)


def needing_attention(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Those whose payment or refund is in doubt, whose money is owed back, whose buyer wants to send something back, or
    whose side effect has died."""
    owed = Q(pk__in=Refund.objects.lost().values("order")) | Q(pk__in=Difference.objects.open().values("order"))
    owed |= Q(pk__in=Refund.objects.filter(state=Refund.State.UNKNOWN).values("order"))
    owed |= Q(pk__in=ReturnRequest.objects.filter(state=ReturnRequest.State.OPEN).values("order"))
    doubtful = PaymentAttempt.objects.filter(state__in=DOUBTFUL).values("order")
    # From the few dead to their orders, not from every order to its deliveries.
    dead = Delivery.objects.dead().filter(event__subject__startswith=KIND)
    of_dead = dead.values_list(Cast(Substr("event__subject", len(KIND) + 1), BigIntegerField()))
    return orders.filter(Q(status=Order.Status.REFUND_DUE) | Q(pk__in=doubtful) | Q(pk__in=of_dead) | owed)


def with_effects(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Each with `effects`, `effects_done` and `effects_dead`, counted by the same query; discarded ones not at all."""
    mine = _about_the_order().exclude(state=Delivery.State.CANCELLED)
    return orders.annotate(
        effects=_count(mine),
        effects_done=_count(mine.filter(state=Delivery.State.DONE)),
        effects_dead=_count(mine.filter(state=Delivery.State.DEAD)),
    )


def _count(rows: QuerySet[Delivery]) -> Coalesce:
    return Coalesce(Subquery(rows.values("event__subject").annotate(n=Count("pk")).values("n")), 0)


def attention(order: Order) -> list[Attention]:
    """What is wrong with this order, what only a person can mend first."""
    failures = list(Failure.objects.failing().about(subject_of(order)).select_related("event"))
    found = [*_of_the_payment(order, failures), *_of_money_back(order), *_of_differences(order)]
    found += [*_of_returns(order), *_of_side_effects(failures)]
    return sorted(found, key=lambda item: item.tone)


def _of_the_payment(order: Order, failures: list[Delivery]) -> Iterator[Attention]:
    states = {attempt.state for attempt in order.attempts.all()}
    if PaymentAttempt.State.UNKNOWN in states:
        asking = next((row for row in failures if row.handler == ASKS_THE_BANK), None)
        yield Attention(
            tone="warn",
            sentence="The bank has not said whether it took the money. The buyer is never charged twice.",
            failure=asking,
            button="Ask the bank now",
        )
    if PaymentAttempt.State.MISMATCH in states:
        yield Attention(
            tone="bad" if _is_owed(order) else "warn",
            sentence="The bank took or held another amount than we asked for. Nothing was sold: it all goes back.",
        )


def _is_owed(order: Order) -> bool:
    return order.status == Order.Status.REFUND_DUE and not order.refunds.open().exists()


def _of_money_back(order: Order) -> Iterator[Attention]:
    lost = list(Refund.objects.lost().filter(order=order).order_by("created_at"))
    if _is_owed(order) and not lost:
        yield Attention(
            tone="bad",
            sentence="The money was taken, and the order cannot be fulfilled: refund it.",
            url=reverse("admin:orders_order_refund", args=[order.pk]),
            button="Refund",
            permission="orders.refund_order",
        )
    for refund in lost:
        yield Attention(
            tone="bad",
            sentence=f"The bank did not give back {money(refund.amount, refund.currency)}.",
            detail=f"{refund.code} {refund.message}".strip(),
            action=reverse("admin:orders_order_again", args=[order.pk, refund.pk]),
            button="Refund again",
            permission="orders.refund_order",
        )
    for refund in order.refunds.open().order_by("created_at"):
        doubtful = refund.state == Refund.State.UNKNOWN
        words = "The bank has not said whether it gave back" if doubtful else "The bank is giving back"
        sentence = f"{words} {money(refund.amount, refund.currency)}. It is asked again by itself, and pays once."
        yield Attention(tone="warn", sentence=sentence)


def _of_differences(order: Order) -> Iterator[Attention]:
    for row in Difference.objects.open().filter(order=order).order_by("pk"):
        yield Attention(
            tone="bad",
            sentence=f"The bank's books and ours differ: {row.get_kind_display()}.",
            detail=row.detail,
            url=reverse("admin:orders_difference_change", args=[row.pk]),
            action=reverse("admin:orders_difference_repair", args=[row.pk]),
            button="Repair",
            permission="orders.decide_difference",
        )


def _of_returns(order: Order) -> Iterator[Attention]:
    if open_request(order):
        yield Attention(
            tone="bad",
            sentence="The buyer wants to send something back, and waits for an answer.",
            url=reverse("admin:orders_order_return", args=[order.pk]),
            button="Take it back",
            permission="orders.return_order",
        )


def _of_side_effects(failures: list[Delivery]) -> Iterator[Attention]:
    for row in failures:
        if row.state == Delivery.State.DEAD:
            sentence = f"{row.handler} has died and will not be tried again by itself."
            yield Attention(tone="bad", sentence=sentence, detail=row.last_error, failure=row, button="Retry now")
        elif row.handler != ASKS_THE_BANK:
            sentence = f"{row.handler} has failed and will be tried again by itself."
            yield Attention(tone="warn", sentence=sentence, detail=row.last_error, failure=row, button="Try now")
