"""Who may tell us things: only a holder of a secret, only now, and only what makes sense."""

import json
import time
from typing import Any

import pytest
import stripe

from orders.gateways import stripe as gateway
from orders.gateways.bank.webhooks import signature
from orders.gateways.base import BadEvent, BadSignature, WeakSecret

SECRET = "whsec_of_these_tests_only"
OLD, OTHER = "whsec_that_we_used_before", "whsec_of_somebody_else_entirely"
EVENT: dict[str, Any] = {"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {"id": "pi_1"}}}
BODY = json.dumps(EVENT).encode()


def signed(body: bytes = BODY, *, secret: str = SECRET, at: float | None = None) -> str:
    return signature(body, secret, at=None if at is None else int(at))


def test_what_the_gateway_signed_just_now_is_believed() -> None:
    assert gateway.verified(BODY, signed(), [SECRET]) == EVENT


def test_what_stripes_own_library_believes_we_believe_too() -> None:
    header = signed()

    assert stripe.Webhook.construct_event(BODY, header, SECRET).id == gateway.verified(BODY, header, [SECRET])["id"]


@pytest.mark.parametrize("secrets", [[SECRET, OLD], [OLD, SECRET]])
def test_any_of_our_secrets_will_do_while_one_replaces_another(secrets: list[str]) -> None:
    assert gateway.verified(BODY, signed(), secrets) == EVENT


def test_any_of_several_signatures_will_do() -> None:
    now = time.time()
    theirs, ours = signed(secret=OTHER, at=now), signed(at=now)
    header = f"{theirs},v0=old,{ours.partition(',')[2]}"

    assert gateway.verified(BODY, header, [SECRET]) == EVENT


def test_a_signature_of_somebody_else_is_refused() -> None:
    with pytest.raises(BadSignature, match="no signature matches"):
        gateway.verified(BODY, signed(secret=OTHER), [SECRET, OLD])


@pytest.mark.parametrize("position", range(0, len(BODY), 7))
def test_one_changed_byte_is_refused(position: int) -> None:
    forged = BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :]

    with pytest.raises(BadSignature, match="no signature matches"):
        gateway.verified(forged, signed(), [SECRET])


def test_the_time_of_signing_is_signed_too() -> None:
    now = int(time.time())
    header = signed(at=now - 3600).replace(str(now - 3600), str(now))

    with pytest.raises(BadSignature, match="no signature matches"):
        gateway.verified(BODY, header, [SECRET])


@pytest.mark.parametrize("age", [-300, -299, 0, 299, 300])
def test_five_minutes_both_ways_are_now(age: int) -> None:
    assert gateway.verified(BODY, signed(at=1_000_000 - age), [SECRET], now=1_000_000) == EVENT


@pytest.mark.parametrize(("age", "reason"), [(301, "too long ago"), (86_400, "too long ago"), (-301, "in the future")])
def test_a_stale_or_future_signature_is_refused(age: int, reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        gateway.verified(BODY, signed(at=1_000_000 - age), [SECRET], now=1_000_000)


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_short"], ["x" * 23], [SECRET, ""]])
def test_without_a_secret_worth_the_name_nobody_is_believed(secrets: list[str]) -> None:
    header = signed(secret=secrets[-1] if secrets else "")

    with pytest.raises(WeakSecret):
        gateway.verified(BODY, header, secrets)


DIGEST = signed(at=1_000_000).partition(",")[2]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1000000",
        DIGEST,
        "t=,v1=",
        "t=1000000,v1=",
        f"t=1000000 ,{DIGEST.upper()}",
        f"t=\uff11000000,{DIGEST}",
        f"t=1000000,t=1000000,{DIGEST}",
        f"t=1e6,{DIGEST}",
        f"t=-1000000,{DIGEST}",
        f"t={'9' * 5000},{DIGEST}",
        "t=1000000,v0=" + DIGEST.removeprefix("v1="),
        "t=1000000,v1=\udcff",
        "t=1000000," + "v1=0," * 100_000,
        "\x00=,;",
    ],
    ids=range(15),
)
def test_a_header_that_proves_nothing_is_refused(header: str) -> None:
    with pytest.raises(BadSignature):
        gateway.verified(BODY, header, [SECRET], now=1_000_000)


NOT_EVENTS = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'"evt_1"',
    b"\xff",
    b"[" * 100_000,
    BODY[:-1],
    BODY.replace(b'"pi_1"', b"NaN"),
    BODY.replace(b"evt_1", b"evt_\\u0000"),
    BODY.replace(b"pi_1", b"pi_\\u0000"),
    BODY.replace(b'"evt_1"', b"1"),
    BODY.replace(b"evt_1", b""),
    BODY.replace(b"evt_1", b"e" * 201),
    BODY.replace(b"payment_intent.succeeded", b"a type"),
    BODY.replace(b'{"id": "pi_1"}', b'"pi_1"'),
]


@pytest.mark.parametrize("body", NOT_EVENTS, ids=range(len(NOT_EVENTS)))
def test_what_is_signed_well_and_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(BadEvent):
        gateway.verified(body, signed(body), [SECRET])
