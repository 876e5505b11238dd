"""Which orders need a person, why, and what mends them."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import BigIntegerField, CharField, Count, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat, Substr

from notifications.pipeline.events import subject_of
from notifications.pipeline.failures import Failure
from notifications.pipeline.models import Delivery
from orders.models import Order, PaymentAttempt

# The bank did not answer, or answered something that we did not ask for.
DOUBTFUL = (PaymentAttempt.State.UNKNOWN, PaymentAttempt.State.MISMATCH)
KIND = "order:"  # what the references to orders begin with
ASKS_THE_BANK = "orders.ask_gateway"


@dataclass(frozen=True, kw_only=True)
class Attention:
    """One thing that is wrong. tone: bad (a person must act) or warn (it is being seen to).

    `failure` is the delivery that `button` tries again; None when no button can mend it.
    """

    tone: str
    sentence: str
    detail: str = ""
    failure: Delivery | None = None
    button: str = ""


def _about_the_order() -> QuerySet[Delivery]:
    subject = Concat(Value(KIND), Cast(OuterRef("pk"), CharField()))
    return Delivery.objects.filter(event__subject=subject)


def needing_attention(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Those whose payment is in doubt, whose money is owed back, or whose side effect has died."""
    doubtful = PaymentAttempt.objects.filter(state__in=DOUBTFUL).values("order")
    # From the few dead to their orders, not from every order to its deliveries.
    dead = Delivery.objects.dead().filter(event__subject__startswith=KIND)
    of_dead = dead.values_list(Cast(Substr("event__subject", len(KIND) + 1), BigIntegerField()))
    return orders.filter(Q(status=Order.Status.REFUND_DUE) | Q(pk__in=doubtful) | Q(pk__in=of_dead))


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
    found = [*_of_the_payment(order, failures), *_of_side_effects(failures)]
    return sorted(found, key=lambda item: item.tone)


def _of_the_payment(order: Order, failures: list[Delivery]) -> Iterator[Attention]:
    attempt = order.last_attempt
    state = attempt.state if attempt else ""
    if order.status == Order.Status.REFUND_DUE:
        yield Attention(tone="bad", sentence="The money was taken, and the order cannot be fulfilled: refund it.")
    if state == PaymentAttempt.State.MISMATCH:
        yield Attention(
            tone="bad",
            sentence="The bank took another amount or currency than we asked for. Nothing was sold; settle it there.",
        )
    if state == PaymentAttempt.State.UNKNOWN:
        asking = next((row for row in failures if row.handler == ASKS_THE_BANK), None)
        yield Attention(
            tone="warn",
            sentence="The bank has not said whether it took the money. The buyer is never charged twice.",
            failure=asking,
            button="Ask the bank now",
        )


def _of_side_effects(failures: list[Delivery]) -> Iterator[Attention]:
    for row in failures:
        if row.state == Delivery.State.DEAD:
            sentence = f"{row.handler} has died and will not be tried again by itself."
            yield Attention(tone="bad", sentence=sentence, detail=row.last_error, failure=row, button="Retry now")
        elif row.handler != ASKS_THE_BANK:
            sentence = f"{row.handler} has failed and will be tried again by itself."
            yield Attention(tone="warn", sentence=sentence, detail=row.last_error, failure=row, button="Try now")
