"""POST orders/: one call to place_order, and what each of its answers means in HTTP."""

from dataclasses import asdict
from typing import Any, Final

from rest_framework.response import Response

from notifications.api.problems import MEDIA_TYPE, problem, problem_body
from orders.api.reach import for_answers
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
from orders.models import Order

ASK_AGAIN: Final = {"Retry-After": "2"}
REPLAYED: Final = {"Idempotent-Replayed": "true"}
NOT_KNOWN_YET: Final = ("pending", "checking", "requires_action")
UNPAID: Final = ("declined", "expired")


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
        return problem(422, "This Idempotency-Key came before, with another request.", code="key_reused")
    except KeyInProgress as busy:
        return _in_progress(busy)
    except AlreadyAnswered as past:
        return _answer(past.status, past.body, headers=REPLAYED)
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
    order = for_answers().get(pk=placed.pk)
    [body] = order_bodies([order])
    if order.payment_status in NOT_KNOWN_YET:
        return _answer(202, body, headers=ASK_AGAIN | (headers or {}))
    if order.payment_status in UNPAID:
        return _answer(*remember(key=key, status=402, body=_declined(order), order=order), headers=headers)
    return _answer(*remember(key=key, status=201, body=body, order=order), headers=headers)


def _declined(order: Order) -> dict[str, Any]:
    attempt = order.last_attempt
    detail = (attempt and attempt.message) or "The payment was declined. Nothing was charged."
    return problem_body(402, detail, code=(attempt and attempt.code) or "card_declined", order=order.number)


def _sold_out(refusal: OutOfStock, key: Key) -> Response:
    lines = [asdict(line) for line in refusal.lines]
    names = ", ".join(line["sku"] for line in lines)
    body = problem_body(409, f"Not enough left of {names}. Nothing was charged.", code="out_of_stock", lines=lines)
    try:
        return _answer(*remember(key=key, status=409, body=body, order=None))
    except KeyInProgress as busy:
        return _in_progress(busy)


def _in_progress(busy: KeyInProgress) -> Response:
    wait = {"Retry-After": str(busy.retry_after)}
    return problem(409, "The first request with this key is still at work.", code="in_progress", headers=wait)


def _answer(status: int, body: Any, *, headers: dict[str, str] | None = None) -> Response:
    refused = status >= 400
    return Response(body, status=status, headers=headers, content_type=MEDIA_TYPE if refused else None)
