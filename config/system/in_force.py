"""The settings in force, for a person who wants to know why the shop behaves as it does. Secrets are not shown."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings


@dataclass(frozen=True, kw_only=True)
class Setting:
    """given: the environment says it, itself or by a file; else it is what the shop takes without being told."""

    name: str
    value: str
    given: bool


def settings_in_force() -> dict[str, list[Setting]]:
    """In groups, as the README lists them."""
    return {title: [_setting(*one) for one in group] for title, group in _groups()}


def _setting(name: str, value: Any) -> Setting:
    words = {True: "yes", False: "no", "": "none", None: "none"}
    shown = words.get(value) if isinstance(value, bool | str | None) else None
    return Setting(name=name, value=shown or str(value), given=name in os.environ or f"{name}_FILE" in os.environ)


def _groups() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    yield (
        "Who we are",
        [
            ("SECRET_KEY", "made by this local shop" if settings.LOCAL else "set"),
            ("DEBUG", settings.DEBUG),
            ("ALLOWED_HOSTS", ", ".join(settings.ALLOWED_HOSTS)),
            ("SITE_URL", settings.SITE_URL),
            ("TRUSTED_PROXY_COUNT", settings.ALLAUTH_TRUSTED_PROXY_COUNT),
            ("STAFF_NEED_SECOND_FACTOR", settings.STAFF_NEED_SECOND_FACTOR),
        ],
    )
    yield (
        "Where things are",
        [
            ("WAYBILL_DATA", settings.WAYBILL_DATA),
            ("DATABASE_URL", without_secrets(settings.DATABASE_URL)),
            ("BROKER_URL", without_secrets(settings.BROKER_URL) or "none: the relay runs the handlers"),
            ("CACHE_URL", _cache()),
            ("STORAGE_URL", _media()),
            ("MEDIA_URL", settings.MEDIA_URL),
            ("FFMPEG_BINARY", settings.FFMPEG_BINARY or "the one that comes along"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", without_secrets(settings.OTEL_EXPORTER_OTLP_ENDPOINT)),
        ],
    )
    yield (
        "Money",
        [
            ("STRIPE_SECRET_KEY", "a test key" if settings.STRIPE_SECRET_KEY.startswith("sk_test_") else "a live key"),
            ("STRIPE_API_BASE", without_secrets(settings.STRIPE_API_BASE) or "Stripe itself"),
            ("STRIPE_WEBHOOK_SECRET", f"{len(settings.STRIPE_WEBHOOK_SECRETS) or 'none'} set"),
            ("CAPTURE_ON_SHIPMENT", settings.CAPTURE_ON_SHIPMENT),
            ("PRICES_INCLUDE_TAX", settings.PRICES_INCLUDE_TAX),
        ],
    )
    yield (
        "Mail and webhooks",
        [
            ("EMAIL_URL", f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"),
            ("MAIL_SERVICE", settings.MAIL_SERVICE or "none: SMTP"),
            ("DEFAULT_FROM_EMAIL", settings.DEFAULT_FROM_EMAIL),
            ("SHIPPING_DEPARTMENT_EMAIL", settings.SHIPPING_DEPARTMENT_EMAIL),
            ("OPERATOR_EMAIL", settings.OPERATOR_EMAIL),
            ("WEBHOOKS_TO_PRIVATE", settings.WEBHOOKS_TO_PRIVATE),
            ("WEBHOOKS_AT_ONCE", settings.WEBHOOKS_AT_ONCE),
        ],
    )


def without_secrets(url: str) -> str:
    """The address with stars for its password, and without what follows a question mark."""
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return "set"  # whatever it is, it is not taken apart, and so not shown
    who = f"{parts.username or ''}{':***' if parts.password else ''}@" if parts.username or parts.password else ""
    return f"{parts.scheme}://{who}{host}{parts.path}" if url else ""


def _cache() -> str:
    cache: dict[str, Any] = settings.CACHES["default"]
    if cache["BACKEND"].endswith("DatabaseCache"):
        return "the database"
    found = cache.get("LOCATION", "")
    return ", ".join(without_secrets(one) for one in ([found] if isinstance(found, str) else found))


def _media() -> str:
    options = settings.MEDIA["OPTIONS"]
    bucket = f"the bucket {options.get('bucket_name')} at {options.get('endpoint_url') or 'Amazon'}"
    return bucket if "bucket_name" in options else f"the folder {options['location']}"
