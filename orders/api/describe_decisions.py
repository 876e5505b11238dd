"""What the API's own documentation says of cancelling, refunding, shipping and taking back."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from notifications.api.problems import refusals
from orders.api.asked import (
    KEY_HEADER,
    CancelAskedSerializer,
    RefundAskedSerializer,
    ReturnAskedSerializer,
    ShipmentAskedSerializer,
)
from orders.api.describe import KEY_SHAPE, NUMBER, RETRY_AFTER, problem_example
from orders.api.shapes import (
    GivenBackSerializer,
    OrderSerializer,
    RefundsSerializer,
    SentSerializer,
    ShipmentsSerializer,
)

_ONCE: Final = "Your name for this request, the same however often you send it: it is done once."
KEY_REQUIRED: Final = OpenApiParameter(KEY_HEADER, KEY_SHAPE, OpenApiParameter.HEADER, required=True, description=_ONCE)
KEY: Final = OpenApiParameter(
    KEY_HEADER,
    KEY_SHAPE,
    OpenApiParameter.HEADER,
    description=f"{_ONCE} Without it, a request that is sent again is another request.",
)
REPLAYED: Final = OpenApiParameter(
    "Idempotent-Replayed",
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=[200, 201, 202, 402, 409],
    description="This is the answer of an earlier request with the same key, or how it stands by now.",
)
_HEADERS: Final = [NUMBER, KEY, REPLAYED, RETRY_AFTER]
_REUSED: Final = problem_example(
    422, "Unprocessable Content", "This Idempotency-Key came before, with another request.", "key_reused"
)
_WRONG_STATUS: Final = problem_example(
    409, "Conflict", "WB-7K2M9QXA cannot go from shipped to cancelled", "wrong_status"
)
_OVER_REFUND: Final = problem_example(
    409,
    "Conflict",
    "Only 490 (minor units of EUR) is left to give back.",
    "over_refund",
    left={"amount": 490, "currency": "EUR"},
)
_UNITS: Final = problem_example(
    409,
    "Conflict",
    "MUG-RED: 3 wanted, 1 possible. Nothing was changed.",
    "not_enough_units",
    sku="MUG-RED",
    wanted=3,
    left=1,
)


def _refusals(**described: str) -> dict[Any, Any]:
    words = {
        "_400": "A field or the Idempotency-Key is not right.",
        "_422": "The same Idempotency-Key came with another request.",
    }
    return refusals(401, 403, 404, 406, 413, 415, **{**words, **described})


def _example(name: str, **body: Any) -> OpenApiExample:
    return OpenApiExample(name, value=body, request_only=True)


CANCEL_ORDER: Final[dict[str, Any]] = {
    "operation_id": "cancel_order",
    "summary": "Call off an order of which nothing has left",
    "description": (
        "Its goods are for sale again, its money goes back. Customers may cancel their own orders. "
        "202 while the bank has not answered: should the payment still come, it is given back."
    ),
    "parameters": _HEADERS,
    "request": CancelAskedSerializer,
    "responses": {
        200: OpenApiResponse(OrderSerializer, description="Cancelled."),
        202: OpenApiResponse(OrderSerializer, description="Wanted; the bank has not answered yet."),
        **_refusals(_409="`wrong_status`: goods have left, or the order has ended. `in_progress`: the key is at work."),
    },
    "examples": [_example("At the buyer's wish", reason="ordered twice"), _WRONG_STATUS, _REUSED],
}
LIST_REFUNDS: Final[dict[str, Any]] = {
    "operation_id": "list_refunds",
    "summary": "The refunds of an order, oldest first",
    "parameters": [NUMBER],
    "responses": {200: RefundsSerializer, **refusals(401, 403, 404, 406)},
}
REFUND_ORDER: Final[dict[str, Any]] = {
    "operation_id": "refund_order",
    "summary": "Give money back",
    "description": (
        "An amount, or what some units cost, or all that is left. Units that have not left stay here, "
        "and with `restock` they are for sale again. 202 while the bank has not finished: it is followed up."
    ),
    "parameters": [NUMBER, KEY_REQUIRED, REPLAYED, RETRY_AFTER],
    "request": RefundAskedSerializer,
    "responses": {
        201: OpenApiResponse(GivenBackSerializer, description="Every refund has its end: `done`, or `failed`."),
        202: OpenApiResponse(GivenBackSerializer, description="Decided; the bank has not finished."),
        **_refusals(
            _400="A field is not right, or the Idempotency-Key is missing.",
            _409="`over_refund`: `left` says what is left. `not_enough_units`, `wrong_status`, `in_progress`.",
        ),
    },
    "examples": [
        _example("An amount", amount=500, reason="a scratch"),
        _example("Some units", lines=[{"sku": "MUG-RED", "quantity": 1}], reason="not wanted", restock=True),
        _example("All that is left", reason="goodwill"),
        _OVER_REFUND,
        _UNITS,
        _REUSED,
    ],
}
LIST_SHIPMENTS: Final[dict[str, Any]] = {
    "operation_id": "list_shipments",
    "summary": "The parcels of an order, oldest first",
    "parameters": [NUMBER],
    "responses": {200: ShipmentsSerializer, **refusals(401, 403, 404, 406)},
}
SHIP_ORDER: Final[dict[str, Any]] = {
    "operation_id": "ship_order",
    "summary": "Write down that a parcel left",
    "description": "These units, or all that is still here. Money that is only held at the bank is taken first.",
    "parameters": _HEADERS,
    "request": ShipmentAskedSerializer,
    "responses": {
        201: OpenApiResponse(SentSerializer, description="Written down; the buyer is told."),
        **_refusals(
            _402="`not_paid`: the bank did not pay the money it held. Nothing was shipped.",
            _409="`not_enough_units`: `sku`, `wanted`, `left`. `wrong_status`. `in_progress`: the key is at work.",
        ),
    },
    "examples": [
        _example("All of it", carrier="PostNL", tracking="3SABC123"),
        _example("A part", lines=[{"sku": "MUG-RED", "quantity": 1}], carrier="PostNL", tracking="3SABC124"),
        problem_example(
            402,
            "Payment Required",
            "The bank let go of the money it held for this order. Nothing was shipped.",
            "not_paid",
        ),
        _UNITS,
        _REUSED,
    ],
}
TAKE_BACK: Final[dict[str, Any]] = {
    "operation_id": "take_back",
    "summary": "Write down that goods came back",
    "description": "With `restock` they are for sale again; with `refund` the buyer gets back what they cost.",
    "parameters": _HEADERS,
    "request": ReturnAskedSerializer,
    "responses": {
        201: OpenApiResponse(GivenBackSerializer, description="Written down; refunds, if any, have their end."),
        202: OpenApiResponse(GivenBackSerializer, description="Written down; the bank has not finished."),
        **_refusals(_409="`not_enough_units`: `sku`, `wanted`, `left`. `over_refund`, `wrong_status`, `in_progress`."),
    },
    "examples": [
        _example(
            "Back on the shelf, money back",
            lines=[{"sku": "MUG-RED", "quantity": 1}],
            restock=True,
            refund=True,
            reason="wrong size",
        ),
        _OVER_REFUND,
        _UNITS,
        _REUSED,
    ],
}
