"""Signatures as Standard Webhooks defines them (https://www.standardwebhooks.com), version v1: HMAC-SHA256."""

import base64
import hashlib
import hmac
from collections.abc import Iterable


def signature(*, secret: str, message_id: str, timestamp: int, body: str) -> str:
    """`v1,…` of one secret. timestamp: seconds since 1970. The secret begins with `whsec_`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def headers(*, secrets: Iterable[str], message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """The three headers; one signature for each secret, so that a secret can be changed without a gap."""
    signatures = (signature(secret=one, message_id=message_id, timestamp=timestamp, body=body) for one in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
