"""The gateway's books of the last days against ours, in both directions: every difference is noted, once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils import timezone

from orders import differences
from orders.gateways import stripe
from orders.gateways.base import ListedCharge, ListedRefund, RefundStatus, Status
from orders.gateways.stripe_client import CLOCKS_DIFFER
from orders.models import Difference, Order, PaymentAttempt, Refund
from orders.templatetags.shop import money

Kind = Difference.Kind
YOUNG = timedelta(minutes=2)  # what is younger is still being settled by itself
COMPARED = (
    Kind.UNSETTLED,
    Kind.STRAY_CHARGE,
    Kind.MISSING_CHARGE,
    Kind.AMOUNT,
    Kind.STRAY_REFUND,
    Kind.MISSING_REFUND,
)


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """One thing on which the two books differ; `reference` and the rest as a Difference has them."""

    kind: Difference.Kind
    reference: str
    detail: str
    order: Order | None = None
    gateway_id: str = ""
    amount: int = 0
    currency: str = ""


# -- compare ----------------------------------------------------------------------------------


def settle_books(*, hours: int = 48) -> list[Difference]:
    """Compare the last `hours` and note every difference; those that are no more are closed. Returns the open ones.

    Raises GatewaySilent when the gateway did not tell its whole list: nothing is concluded from a part of it.
    """
    since = timezone.now() - timedelta(hours=hours)
    charges, back = list(stripe.charges_since(_first_of_interest(since))), list(stripe.refunds_since(since))
    found = [
        *_charges_there(charges),
        *_charges_here(charges, since),
        *_holds_here(charges),
        *_refunds_there(back),
        *_refunds_here(back, since),
    ]
    with transaction.atomic():
        noted = [differences.note(**vars(one)).pk for one in found]
        for gone in Difference.objects.open().filter(kind__in=COMPARED, found_at__gt=since).exclude(pk__in=noted):
            differences.over(kind=Kind(gone.kind), reference=gone.reference, by="the books agree again")
    return list(Difference.objects.open().order_by("pk"))


def _held() -> QuerySet[PaymentAttempt]:
    """What we take the bank to hold; what it is to let go of, recovery sees to."""
    held = PaymentAttempt.objects.filter(state=PaymentAttempt.State.AUTHORIZED)
    return held.exclude(order__status=Order.Status.CANCELLED)


def _first_of_interest(since: datetime) -> datetime:
    """Money is held for a week or more before it is taken: the list goes back to the first of it."""
    first = _held().aggregate(first=Min("started_at"))["first"]
    return min(since, first - CLOCKS_DIFFER) if first else since


def _charges_there(charges: Sequence[ListedCharge]) -> Iterator[Disagreement]:
    """What the gateway took, and what we know of it."""
    known = _attempts(charge.reference for charge in charges)
    for charge in charges:
        attempt = known.get(charge.reference)
        if charge.status is not Status.SUCCEEDED:
            continue
        if attempt is None:
            yield from _stray(charge)
        elif attempt.state not in (PaymentAttempt.State.SUCCEEDED, PaymentAttempt.State.MISMATCH):
            yield from _unsettled(charge, attempt)
        elif (attempt.captured, attempt.captured_currency) != (charge.amount, charge.currency):
            ours = money(attempt.captured, attempt.captured_currency or attempt.currency)
            detail = f"{ours} here, {money(charge.amount, charge.currency)} there"
            yield _about(Kind.AMOUNT, attempt, charge, detail)


def _stray(charge: ListedCharge) -> Iterator[Disagreement]:
    if charge.refunded == charge.amount:
        return
    yield Disagreement(
        kind=Kind.STRAY_CHARGE,
        reference=charge.reference or charge.gateway_id,
        gateway_id=charge.gateway_id,
        amount=charge.amount,
        currency=charge.currency,
        detail=f"The gateway took {money(charge.amount, charge.currency)} for {charge.order_number or 'no order'}.",
    )


def _unsettled(charge: ListedCharge, attempt: PaymentAttempt) -> Iterator[Disagreement]:
    if attempt.state in PaymentAttempt.OPEN and charge.created > timezone.now() - YOUNG:
        return
    yield _about(Kind.UNSETTLED, attempt, charge, f"Taken by the gateway; here the payment is {attempt.state}.")


def _about(kind: Difference.Kind, attempt: PaymentAttempt, charge: ListedCharge, detail: str) -> Disagreement:
    return Disagreement(
        kind=kind,
        reference=str(attempt.pk),
        order=attempt.order,
        gateway_id=charge.gateway_id,
        amount=charge.amount,
        currency=charge.currency,
        detail=detail,
    )


def _charges_here(charges: Sequence[ListedCharge], since: datetime) -> Iterator[Disagreement]:
    """What we call paid, and whether the gateway has it."""
    taken = {charge.reference for charge in charges if charge.status is Status.SUCCEEDED}
    # The gateway dates a payment by its own clock.
    ours = PaymentAttempt.objects.filter(
        state=PaymentAttempt.State.SUCCEEDED,
        started_at__gt=since + CLOCKS_DIFFER,
        finished_at__lt=timezone.now() - YOUNG,
    )
    for attempt in ours.select_related("order"):
        if str(attempt.pk) not in taken:
            yield Disagreement(
                kind=Kind.MISSING_CHARGE,
                reference=str(attempt.pk),
                order=attempt.order,
                gateway_id=attempt.gateway_id or "",
                amount=attempt.captured,
                currency=attempt.captured_currency,
                detail=f"{attempt.order} is {attempt.order.status}; the gateway's list has no such payment.",
            )


def _holds_here(charges: Sequence[ListedCharge]) -> Iterator[Disagreement]:
    """What we take to be held, and whether the gateway still holds it. Taken meanwhile, it is unsettled already."""
    there = {charge.reference: charge for charge in charges}
    for attempt in _held().filter(started_at__lt=timezone.now() - YOUNG).select_related("order"):
        charge = there.get(str(attempt.pk))
        if charge is None:
            detail = f"{attempt.order} is {attempt.order.status}; the gateway's list has no such payment."
            yield _of_hold(Kind.MISSING_CHARGE, attempt, detail)
        elif charge.status is Status.CANCELLED:
            yield _of_hold(Kind.UNSETTLED, attempt, "Held by our books; the gateway has let it go.")
        elif charge.status is Status.AUTHORIZED and (charge.amount, charge.currency) != _agreed(attempt):
            ours, theirs = money(*_agreed(attempt)), money(charge.amount, charge.currency)
            yield _of_hold(Kind.UNSETTLED, attempt, f"{ours} held by our books, {theirs} by the gateway.")


def _agreed(attempt: PaymentAttempt) -> tuple[int, str]:
    return attempt.amount, attempt.currency


def _of_hold(kind: Difference.Kind, attempt: PaymentAttempt, detail: str) -> Disagreement:
    return Disagreement(
        kind=kind,
        reference=str(attempt.pk),
        order=attempt.order,
        gateway_id=attempt.gateway_id or "",
        amount=attempt.amount,
        currency=attempt.currency,
        detail=detail,
    )


def _refunds_there(back: Sequence[ListedRefund]) -> Iterator[Disagreement]:
    known = {refund.gateway_id: refund for refund in Refund.objects.filter(gateway_id__in=_ids(back))}
    attempts = PaymentAttempt.objects.select_related("order").in_bulk(
        [r.intent_id for r in back], field_name="gateway_id"
    )
    for one in back:
        mine, attempt = known.get(one.gateway_id), attempts.get(one.intent_id)
        settled = mine is not None and mine.state == Refund.State.DONE
        if attempt is None or settled or one.status is not RefundStatus.DONE:
            continue  # of a payment that is not ours, or as we have it
        if one.created > timezone.now() - YOUNG:
            continue
        yield Disagreement(
            kind=Kind.STRAY_REFUND,
            reference=one.gateway_id,
            order=attempt.order,
            gateway_id=one.intent_id,
            amount=one.amount,
            currency=one.currency,
            detail=f"The gateway gave {money(one.amount, one.currency)} back; our books do not say so.",
        )


def _refunds_here(back: Sequence[ListedRefund], since: datetime) -> Iterator[Disagreement]:
    given = {one.gateway_id for one in back if one.status is RefundStatus.DONE}
    ours = Refund.objects.filter(
        state=Refund.State.DONE,
        created_at__gt=since + CLOCKS_DIFFER,
        finished_at__lt=timezone.now() - YOUNG,
    )
    for refund in ours.select_related("order"):
        if refund.gateway_id not in given:
            yield Disagreement(
                kind=Kind.MISSING_REFUND,
                reference=str(refund.pk),
                order=refund.order,
                gateway_id=refund.gateway_id or "",
                amount=refund.amount,
                currency=refund.currency,
                detail="Given back here; the gateway's list says nothing of it.",
            )


def _ids(back: Sequence[ListedRefund]) -> list[str]:
    return [one.gateway_id for one in back]


def _attempts(references: Iterator[str]) -> dict[str, PaymentAttempt]:
    ids = []
    for reference in references:
        try:
            ids.append(UUID(reference))
        except ValueError:
            continue  # not one of ours
    return {str(row.pk): row for row in PaymentAttempt.objects.filter(pk__in=ids).select_related("order")}
