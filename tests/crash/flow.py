"""What a flow is, and how a program speaks to the shop."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.test import Client

from tests.crash import rows
from tests.rig import ADDRESS

Facts = dict[str, Any]
Say = Callable[[Any], None]

# One for each process: loading the middleware takes longer than a request. A fault is a 500, as in life.
client = Client(raise_request_exception=False, SERVER_NAME="localhost")


@dataclass(frozen=True)
class Flow:
    """One verb of the shop, driven as its client would.

    `prepare` makes the world in which it happens and returns plain facts; `act` does it once, in a process that may
    be killed, and says what the client hears. A client that was cut off acts again with the same facts.
    """

    name: str
    prepare: Callable[[str], Facts]
    act: Callable[..., None]
    point: Callable[[Any], str]
    wrong: Callable[[Facts, list[Any]], Iterator[str]]  # given all that was heard: what is not as it should be
    least: int  # fewer boundaries than this, and the instrument has missed some
    by_relay: bool = False  # nobody acts again: the pipeline does, by itself


def call(path: str, body: Any, *, key: str, who: str = rows.CUSTOMER) -> dict[str, Any]:
    """One API call through the whole stack of the web process, and what a client would see of its answer."""
    answer = client.post(
        path,
        data=json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {rows.bearers[who]}", "Idempotency-Key": key},
    )
    return seen_of(answer)


def seen_of(answer: Any) -> dict[str, Any]:
    body = json.loads(answer.content) if "json" in answer.headers.get("Content-Type", "") else None
    return {"status": answer.status_code, "body": body, "again": "Retry-After" in answer.headers}


def is_final(answer: Any) -> bool:
    """Whether the client is content: neither 202 nor told to try again."""
    return answer["status"] != 202 and not answer["again"] and answer["status"] < 500


def new_key() -> str:
    return secrets.token_hex(16)


def order_body(email: str, items: list[tuple[str, int]], card: str = "pm_card_visa") -> dict[str, Any]:
    return {
        "email": email,
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in items],
        "shipping_address": ADDRESS,
        "shipping_method": "standard",
        "payment_method": card,
    }
