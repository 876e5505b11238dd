"""What Stripe sends by itself: whether it is from Stripe, and what it says."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

from orders.gateways.base import BadEvent, BadSignature, GatewaySilent, ListedRefund, Told, WeakSecret
from orders.gateways.stripe_answers import read
from orders.gateways.stripe_client import moment, part, text
from orders.gateways.stripe_refunds import listed

WINDOW: Final = 300  # seconds that a message may be old, or ahead of our clock
SHORTEST_SECRET: Final = 24  # characters; what Stripe gives out is longer
MOST_SIGNATURES: Final = 16  # one a secret in use, and Stripe allows few
NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,200}")


def verified(body: bytes, header: str, secrets: Sequence[str], now: float | None = None) -> dict[str, Any]:
    """The event in `body`, if `header` (Stripe-Signature) proves that a holder of one of `secrets` sent it just now.

    Several secrets are for the day on which one replaces another. `now` is unix seconds, for tests. Raises
    BadSignature, BadEvent, or WeakSecret when there is no secret worth the name; then nobody can be believed.
    """
    if not secrets or min(map(len, secrets)) < SHORTEST_SECRET:
        raise WeakSecret(f"a webhook secret has at least {SHORTEST_SECRET} characters")
    stamp, signatures = _claims(header)
    expected = [_digest(stamp, body, secret) for secret in secrets]
    # Every pair is compared, each in constant time: how long it takes tells nothing.
    matches = [hmac.compare_digest(mine, theirs) for mine in expected for theirs in signatures]
    if not any(matches):
        raise BadSignature("no signature matches")
    away = int(stamp) - (time.time() if now is None else now)
    if abs(away) > WINDOW:
        raise BadSignature("signed too long ago" if away < 0 else "signed in the future")
    return _event(body)


def told(event: dict[str, Any]) -> Told:
    """What a verified event says, in the port's words."""
    said = part(part(event, "data"), "object")
    other = Told(
        event_id=text(event, "id"),
        type=text(event, "type"),
        created=moment(event, "created"),
        kind="other",
        reference=text(part(said, "metadata"), "reference"),
        gateway_id=text(said, "payment_intent") or text(part(said, "payment_intent"), "id") or None,
    )
    if text(said, "object") == "payment_intent":
        return replace(other, kind="charge", gateway_id=text(said, "id") or None, outcome=read(said))
    if text(said, "object") == "refund":
        return replace(other, kind="refund", refund=_refund(said))
    # Tells of the charge as a whole: that there are refunds, not which.
    return replace(other, kind="refund") if other.type == "charge.refunded" else other


def _claims(header: str) -> tuple[str, list[bytes]]:
    """The time and the signatures a header claims."""
    pairs = [item.strip().partition("=") for item in header.split(",", 2 * MOST_SIGNATURES)]
    stamps = [value for name, _, value in pairs if name == "t"]
    signatures = [value.encode(errors="replace") for name, _, value in pairs if name == "v1"][:MOST_SIGNATURES]
    if len(stamps) != 1 or not re.fullmatch("[0-9]{1,12}", stamps[0]):
        raise BadSignature("no time of signing")
    if not signatures:
        raise BadSignature("no signature")
    return stamps[0], signatures


def _digest(stamp: str, body: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest().encode()


def _event(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadEvent("not JSON") from error
    if b"\\u0000" in body:  # no database takes it
        raise BadEvent("a NUL character")
    if not isinstance(event, dict) or not isinstance(part(event, "data").get("object"), dict):
        raise BadEvent("no object")
    if not NAME.fullmatch(text(event, "id")) or not NAME.fullmatch(text(event, "type")):
        raise BadEvent("no id or no type")
    return event


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refund(said: dict[str, Any]) -> ListedRefund | None:
    try:
        return listed(said)
    except GatewaySilent:
        return None
