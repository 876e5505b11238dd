"""Cancel, refund, ship, take back: one call to the verb, and what each of its answers means in HTTP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError
from rest_framework.response import Response

from notifications.api.problems import problem_body
from orders import fulfilment, idempotency, refunds
from orders.api.parts import RefundSerializer
from orders.api.reach import as_it_is
from orders.api.replies import ASK_AGAIN, REPLAYED, answer, in_progress, key_reused
from orders.api.shapes import order_bodies
from orders.fulfilment import NotPaid
from orders.idempotency import AlreadyAnswered, Key, KeyInProgress, KeyReused
from orders.models import Order, PaymentAttempt, Refund
from orders.refunds import BadUnits, OverRefund, Units
from orders.status import WrongStatus

S = Order.Status
AT_THE_BANK = (Refund.State.REQUESTED, Refund.State.IN_FLIGHT, Refund.State.UNKNOWN)
REFUSALS = (WrongStatus, OverRefund, BadUnits, NotPaid)
NOT_LET_GO = (*PaymentAttempt.OPEN, PaymentAttempt.State.AUTHORIZED)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a verb has come to. An open one is not kept with its key: a repeat tells how it stands then."""

    status: int
    body: Any
    open: bool = False


def cancel(order: Order, asked: dict[str, Any], *, key: Key | None) -> Response:
    def tell() -> Told:
        fulfilment.cancel(order=order, reason=asked["reason"], key=key)
        now, body = _as_it_is(order)
        if now.status == S.CANCELLED:
            waiting = _waits_for_the_bank(now)
            return Told(status=202 if waiting else 200, body=body, open=waiting)
        if now.status == S.PLACED:
            return Told(status=202, body=body, open=True)
        return Told(status=409, body=_wrong_status(f"{now} is {now.status}: there was nothing left to cancel."))

    return _once(order, key, tell)


def _waits_for_the_bank(order: Order) -> bool:
    held = any(attempt.state in NOT_LET_GO for attempt in order.attempts.all())
    return held or order.refunds.filter(state__in=AT_THE_BANK).exists()


def refund(order: Order, asked: dict[str, Any], *, key: Key) -> Response:
    def tell() -> Told:
        made = refunds.refund(
            order=order,
            amount=asked.get("amount"),
            lines=_units(asked),
            reason=asked["reason"],
            restock=asked["restock"],
            key=key,
        )
        return _given_back(order, made)

    return _once(order, key, tell)


def take_back(order: Order, asked: dict[str, Any], *, key: Key | None) -> Response:
    def tell() -> Told:
        made = fulfilment.take_back(
            order=order,
            lines=_units(asked),
            restock=asked["restock"],
            refund=asked["refund"],
            reason=asked["reason"],
            key=key,
        )
        return _given_back(order, made)

    return _once(order, key, tell)


def ship(order: Order, asked: dict[str, Any], *, key: Key | None) -> Response:
    def tell() -> Told:
        sent = fulfilment.ship(
            order=order, lines=_units(asked), carrier=asked["carrier"], tracking=asked["tracking"], key=key
        )
        _, body = _as_it_is(order)
        [parcel] = [one for one in body["shipments"] if one["id"] == sent.pk]
        return Told(status=201, body={"shipment": parcel, "order": body})

    return _once(order, key, tell)


def _given_back(order: Order, made: Sequence[Refund]) -> Told:
    _, body = _as_it_is(order)
    still_open = any(one.state in Refund.OPEN for one in made)
    told = {"refunds": [dict(one) for one in RefundSerializer(made, many=True).data], "order": body}
    return Told(status=202 if still_open else 201, body=told, open=still_open)


def _as_it_is(order: Order) -> tuple[Order, dict[str, Any]]:
    now = as_it_is(order)
    [body] = order_bodies([now])
    return now, body


def _units(asked: dict[str, Any]) -> list[Units]:
    return [Units(**units) for units in asked.get("lines", ())]


# -- one key, one answer ----------------------------------------------------------------------


def _once(order: Order, key: Key | None, tell: Callable[[], Told]) -> Response:
    """The answer that this key has, or the one it gets now. Without a key, every request is a new one."""
    if key is None:
        return _told_now(order, tell)
    try:
        idempotency.refuse_if_seen(key)
        again = REPLAYED if idempotency.made_before(key) else {}
        try:
            return _kept(key, tell(), made=True, headers=again)
        except REFUSALS as refusal:
            return _kept(key, _refused(order, refusal), made=False)
        except IntegrityError:
            idempotency.refuse_if_seen(key)  # its twin was refused meanwhile, and that is the answer
            raise
    except KeyReused:
        return key_reused()
    except KeyInProgress as busy:
        return in_progress(busy)
    except AlreadyAnswered as past:
        return answer(past.status, past.body, headers=REPLAYED)


def _told_now(order: Order, tell: Callable[[], Told]) -> Response:
    try:
        told = tell()
    except REFUSALS as refusal:
        told = _refused(order, refusal)
    return answer(told.status, told.body, headers=ASK_AGAIN if told.open else None)


def _kept(key: Key, told: Told, *, made: bool, headers: dict[str, str] | None = None) -> Response:
    if told.open:
        return answer(told.status, told.body, headers=ASK_AGAIN | (headers or {}))
    # A refusal made nothing: should the key's row tell of something, its twin has done the work after all.
    row = idempotency.made_before(key) if made else ""
    kept = idempotency.remember(key=key, status=told.status, body=told.body, order=None, made=row)
    return answer(*kept, headers=headers)


def _refused(order: Order, refusal: Exception) -> Told:
    match refusal:
        case OverRefund(left=left):
            return Told(status=409, body=_over_refund(order, left))
        case BadUnits(sku=sku, wanted=wanted, left=left):
            detail = f"{sku}: {wanted} wanted, {left} possible. Nothing was changed."
            body = problem_body(409, detail, code="not_enough_units", sku=sku, wanted=wanted, left=left)
            return Told(status=409, body=body)
        case NotPaid():
            held = order.attempts.filter(state=PaymentAttempt.State.AUTHORIZED).exists()
            return Told(status=402, body=_not_paid(held=held), open=held)
        case _:
            return Told(status=409, body=_wrong_status(str(refusal)))


def _over_refund(order: Order, left: int) -> dict[str, Any]:
    money = {"amount": left, "currency": order.currency}
    held = order.attempts.filter(state=PaymentAttempt.State.AUTHORIZED).exists()
    detail = f"Only {left} (minor units of {order.currency}) is left to give back." if left else "Nothing is left."
    if held and not left:
        detail = "The money is only held at the bank: nothing was taken, so nothing can be given back."
    return problem_body(409, detail, code="over_refund", left=money)


def _not_paid(*, held: bool) -> dict[str, Any]:
    detail = "The bank let go of the money it held for this order. Nothing was shipped."
    if held:
        detail = "The bank has not paid what it holds for this order. Nothing was shipped; send the request again."
    return problem_body(402, detail, code="not_paid")


def _wrong_status(detail: str) -> dict[str, Any]:
    return problem_body(409, detail, code="wrong_status")
