"""What the API's own documentation says of the shop's endpoints."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from notifications.api.problems import MEDIA_TYPE, refusals
from orders.api.asked import (
    KEY_CHARACTERS,
    KEY_HEADER,
    MOST_OF_KEY,
    NewOrderSerializer,
    OrderFilter,
    ProductFilter,
)
from orders.api.shapes import OrderSerializer, ProductSerializer, TimelineSerializer

SKU: Final = OpenApiParameter("sku", str, OpenApiParameter.PATH)
NUMBER: Final = OpenApiParameter("number", str, OpenApiParameter.PATH)
KEY_SHAPE: Final = {"type": "string", "minLength": 1, "maxLength": MOST_OF_KEY, "pattern": f"^{KEY_CHARACTERS}+$"}
IDEMPOTENCY_KEY: Final = OpenApiParameter(
    KEY_HEADER,
    KEY_SHAPE,
    OpenApiParameter.HEADER,
    required=True,
    description="Your name for this order, the same however often you send it: it is placed and charged once.",
)
IF_NONE_MATCH: Final = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="An ETag you have; 304 if it still holds."
)
REPLAYED: Final = OpenApiParameter(
    "Idempotent-Replayed",
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=[201, 202, 402, 409],
    description="This is the answer of an earlier request with the same key; nothing was done now.",
)
RETRY_AFTER: Final = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    response=[202, 409, 429],
    description="Seconds until it is worth asking.",
)
ETAG: Final = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Strong.")

_ASKED: Final = {
    "email": "ada@example.org",
    "items": [{"sku": "MUG-RED", "quantity": 2}],
    "shipping_address": {
        "name": "Ada Lovelace",
        "line1": "Kade 1",
        "line2": "",
        "postal_code": "1621 AA",
        "city": "Hoorn",
        "country": "NL",
    },
    "shipping_method": "standard",
    "payment_method": "pm_card_visa",
}


def problem_example(status: int, title: str, detail: str, code: str, **members: Any) -> OpenApiExample:
    body = {
        "type": f"/api/docs/#problem-{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "urn:uuid:1f0c1de2-9c1f-4b5e-8f3a-5d1c0a7b9e42",
        "request_id": "1f0c1de2-9c1f-4b5e-8f3a-5d1c0a7b9e42",
        "code": code,
        "errors": [],
        **members,
    }
    return OpenApiExample(code, value=body, response_only=True, status_codes=[str(status)], media_type=MEDIA_TYPE)


def _order_with(name: str, **card: str) -> OpenApiExample:
    return OpenApiExample(name, value={**_ASKED, **card}, request_only=True)


LIST_PRODUCTS: Final[dict[str, Any]] = {
    "operation_id": "list_products",
    "summary": "What is for sale",
    "parameters": [ProductFilter],
    "responses": {200: ProductSerializer(many=True), **refusals(400, 401, 406)},
}
GET_PRODUCT: Final[dict[str, Any]] = {
    "operation_id": "get_product",
    "summary": "One product",
    "parameters": [SKU, ProductFilter],
    "responses": {200: ProductSerializer, **refusals(400, 401, 404, 406)},
}
LIST_ORDERS: Final[dict[str, Any]] = {
    "operation_id": "list_orders",
    "summary": "Orders, newest first",
    "description": "Your own; with a key of staff, everybody's.",
    "parameters": [OrderFilter],
    "responses": {200: OrderSerializer(many=True), **refusals(400, 401, 403, 406)},
}
GET_ORDER: Final[dict[str, Any]] = {
    "operation_id": "get_order",
    "summary": "One order, and how far its side effects are",
    "parameters": [NUMBER, IF_NONE_MATCH, ETAG],
    "responses": {
        200: OrderSerializer,
        304: OpenApiResponse(description="As you know it."),
        **refusals(401, 403, 404, 406),
    },
}
GET_TIMELINE: Final[dict[str, Any]] = {
    "operation_id": "get_order_timeline",
    "summary": "Everything that happened to an order, in order",
    "parameters": [NUMBER],
    "responses": {200: TimelineSerializer, **refusals(401, 403, 404, 406)},
}
PLACE_ORDER: Final[dict[str, Any]] = {
    "operation_id": "place_order",
    "summary": "Place an order and pay for it",
    "description": (
        "Charged once per `Idempotency-Key`, whatever happens to the connection: send the same request again and you "
        "get the same answer. 202 means that the bank has not told us the outcome (`payment_status` is `checking`) or "
        "that the buyer must act (`next_action`): nobody is charged twice; ask again later, or repeat the request."
    ),
    "parameters": [IDEMPOTENCY_KEY, REPLAYED, RETRY_AFTER],
    "request": NewOrderSerializer,
    "responses": {
        201: OpenApiResponse(OrderSerializer, description="Paid."),
        202: OpenApiResponse(OrderSerializer, description="Placed; the outcome of the payment is not known yet."),
        **refusals(
            401,
            403,
            406,
            413,
            415,
            _400="A field is not right, or the Idempotency-Key is missing.",
            _402="Declined: `code` says why. Nothing was charged.",
            _409="`out_of_stock`: `lines` says what is left; nothing was charged. `in_progress`: the key is at work.",
            _422="The same Idempotency-Key came with another body.",
            _429="`too_many_guesses`: too many vouchers that do not exist.",
        ),
    },
    "examples": [
        _order_with("A card that works"),
        _order_with("A card that is declined", payment_method="pm_card_chargeDeclinedInsufficientFunds"),
        problem_example(
            402,
            "Payment Required",
            "Your card has insufficient funds.",
            "insufficient_funds",
            order="WB-7K2M9QXA",
        ),
        problem_example(
            409,
            "Conflict",
            "Not enough left of LAST-ONE. Nothing was charged.",
            "out_of_stock",
            lines=[{"sku": "LAST-ONE", "wanted": 2, "available": 1}],
        ),
        problem_example(409, "Conflict", "The first request with this key is still at work.", "in_progress"),
        problem_example(
            422, "Unprocessable Content", "This Idempotency-Key came before, with another request.", "key_reused"
        ),
    ],
}
