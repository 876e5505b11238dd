"""Where the gateway tells us things. Not for people: an answer is a status and a word."""

from typing import Final

import structlog
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from orders import intake
from orders.gateways.base import BadSignature, WeakSecret

log = structlog.get_logger(__name__)

MOST: Final = 256 * 1024  # bytes; an event has a few thousand


@csrf_exempt  # the signature stands for the sender
@require_POST
def stripe(request: HttpRequest) -> HttpResponse:
    """200 once the event is kept, 400 for what the gateway did not sign, 503 while we have no secret to tell by."""
    if int(request.headers.get("Content-Length") or 0) > MOST:
        return _said(413, "too large")
    try:
        new = intake.receive(body=request.body, signature=request.headers.get("Stripe-Signature", ""))
    except WeakSecret as problem:
        log.error("gateway_event_refused", reason=str(problem))
        return _said(503, "no webhook secret is configured")
    except BadSignature as problem:
        log.warning("gateway_event_refused", reason=problem.reason)
        return _said(400, "not signed by the gateway")
    return _said(200, "kept" if new else "known")


def _said(status: int, word: str) -> HttpResponse:
    return HttpResponse(word + "\n", status=status, content_type="text/plain; charset=utf-8")
