"""Signed addresses of renditions: who has one sees the picture, until it expires. Originals have none."""

import time
from typing import Final

from django.conf import settings
from django.core import signing
from django.utils.crypto import constant_time_compare

from uploads.models import Rendition

SALT: Final = "uploads.addresses"
GOOD_FOR: Final = 3600  # seconds at least, and twice that at most: within them the address stays, and is cached


class NotSigned(Exception):
    """We never gave this address out, or it has expired."""


def address(rendition: Rendition) -> str:
    """Where a browser finds it, for the next hour or two."""
    until = (int(time.time()) // GOOD_FOR + 2) * GOOD_FOR
    return f"{settings.MEDIA_URL}{until}/{_signature(rendition.path, until)}/{rendition.path}"


def full_address(rendition: Rendition) -> str:
    """The same for those who are not on our pages."""
    path = address(rendition)
    return path if "://" in path else f"{settings.SITE_URL}{path}"


def seconds_left(path: str, *, until: int, signature: str) -> int:
    """How long the address is still good. Raises NotSigned."""
    left = until - int(time.time())
    if left <= 0 or not constant_time_compare(signature, _signature(path, until)):
        raise NotSigned
    return left


def _signature(path: str, until: int) -> str:
    return signing.Signer(salt=SALT).signature(f"{until}:{path}")
