"""What a repeat, a reused key and a busy one are answered, and how a final answer is given again."""

from typing import Any, Final

from rest_framework.response import Response

from notifications.api.problems import MEDIA_TYPE, problem
from orders.idempotency import KeyInProgress

ASK_AGAIN: Final = {"Retry-After": "2"}
REPLAYED: Final = {"Idempotent-Replayed": "true"}


def answer(status: int, body: Any, *, headers: dict[str, str] | None = None) -> Response:
    refused = status >= 400
    return Response(body, status=status, headers=headers, content_type=MEDIA_TYPE if refused else None)


def in_progress(busy: KeyInProgress) -> Response:
    wait = {"Retry-After": str(busy.retry_after)}
    return problem(409, "The first request with this key is still at work.", code="in_progress", headers=wait)


def key_reused() -> Response:
    return problem(422, "This Idempotency-Key came before, with another request.", code="key_reused")
