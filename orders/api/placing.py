"""POST orders/: one call to place_order, and what each of its answers means in HTTP."""

from dataclasses import asdict
from typing import Any, Final

from rest_framework.response import Response

from notifications.api.problems import problem, problem_body
from orders.api.reach import as_it_is
from orders.api.replies import ASK_AGAIN, REPLAYED, answer, in_progress, key_reused
from orders.api.shapes import order_bodies
from orders.checkout import (
    AlreadyAnswered,
    AlreadyPlaced,
    Buyer,
    Declined,
    InvalidOrder,
    Item,
    Key,
    KeyInProgress,
    KeyReused,
    OutOfStock,
    place_order,
)
from orders.guesses import MOST, TooManyGuesses, slowed_down
from orders.idempotency import remember
from orders.models import Order, PaymentAttempt

S = Order.Status
CALLED_OFF: Final = {
    S.DECLINED: ("card_declined", "The payment was declined. Nothing was charged."),
    S.EXPIRED: ("expired", "The payment was not finished in time, so it was called off. Nothing was charged."),
    S.CANCELLED: ("cancelled", "The order was cancelled before it was paid. Nothing was charged."),
    S.REFUNDED: ("came_late", "The money came after the order had ended; it was given back."),
}
RELEASED: Final = ("released", "The bank let go of the money that it held for this order. Nothing was charged.")
TAKEN_BACK: Final = ("cancelled", "The order was cancelled. What was taken for it is given back.")
MISMATCH: Final = ("amount_mismatch", "The bank took another amount than agreed; it was given back.")

LET_GO: Final = ("amount_mismatch", "The bank held another amount than agreed; it was let go. Nothing was charged.")


def place(asked: dict[str, Any], *, user_id: int | None, key: Key) -> Response:
    """Place the order, or say why not. Whatever is final is kept with the key, for its repeats."""
    try:
        return _by_state(_place(asked, user_id, key), key)
    except InvalidOrder as refusal:
        return problem(400, "This cannot be ordered.", code="invalid", errors=[asdict(e) for e in refusal.errors])
    except TooManyGuesses as refusal:
        wait = {"Retry-After": str(refusal.retry_after)}
        return problem(429, str(refusal), code="too_many_guesses", headers=wait)
    except OutOfStock as refusal:
        return _sold_out(refusal, key)
    except Declined as refusal:
        return _by_state(refusal.order, key)
    except KeyReused:
        return key_reused()
    except KeyInProgress as busy:
        return in_progress(busy)
    except AlreadyAnswered as past:
        return answer(past.status, past.body, headers=REPLAYED)
    except AlreadyPlaced as past:
        return _by_state(past.order, key, headers=REPLAYED)


def _place(asked: dict[str, Any], user_id: int | None, key: Key) -> Order:
    with slowed_down({key.scope: MOST}, code=asked["voucher"]):
        return place_order(
            items=[Item(**item) for item in asked["items"]],
            buyer=Buyer(email=asked["email"], shipping_address=dict(asked["shipping_address"]), user_id=user_id),
            payment_method=asked["payment_method"],
            shipping_method=asked["shipping_method"],
            currency=asked.get("currency", ""),
            voucher=asked["voucher"],
            key=key,
        )


def _by_state(placed: Order, key: Key, *, headers: dict[str, str] | None = None) -> Response:
    """201, 202 or 402, as the order is now: its outcome may have come since it was placed."""
    order = as_it_is(placed)
    if order.status in CALLED_OFF and not _was_sold(order):
        return answer(*remember(key=key, status=402, body=_called_off(order), order=order), headers=headers)
    [body] = order_bodies([order])
    if _is_open(order):
        return answer(202, body, headers=ASK_AGAIN | (headers or {}))
    return answer(*remember(key=key, status=201, body=body, order=order), headers=headers)


def _is_open(order: Order) -> bool:
    """The bank has not told the outcome, or has taken what it should not have, and that is on its way back."""
    return order.status == S.PLACED or (order.status == S.REFUND_DUE and order.paid_at is None)


def _was_sold(order: Order) -> bool:
    """It was paid and confirmed, and given back later: for whoever placed it, that is an order."""
    return order.status == S.REFUNDED and order.paid_at is not None


def _called_off(order: Order) -> dict[str, Any]:
    attempt = order.last_attempt
    code, detail = _why_not(order, attempt)
    if attempt is not None and attempt.state == attempt.State.DECLINED and order.status == S.DECLINED:
        code, detail = attempt.code or code, attempt.message or detail
    return problem_body(402, detail, code=code, order=order.number)


def _why_not(order: Order, attempt: PaymentAttempt | None) -> tuple[str, str]:
    if attempt is not None and attempt.state == attempt.State.MISMATCH:
        return MISMATCH if attempt.captured else LET_GO
    if order.status == S.EXPIRED and order.paid_at is not None:
        return RELEASED
    if order.status == S.CANCELLED and attempt is not None and attempt.captured:
        return TAKEN_BACK
    return CALLED_OFF[S(order.status)]


def _sold_out(refusal: OutOfStock, key: Key) -> Response:
    lines = [asdict(line) for line in refusal.lines]
    names = ", ".join(line["sku"] for line in lines)
    body = problem_body(409, f"Not enough left of {names}. Nothing was charged.", code="out_of_stock", lines=lines)
    try:
        return answer(*remember(key=key, status=409, body=body, order=None))
    except KeyInProgress as busy:
        return in_progress(busy)
