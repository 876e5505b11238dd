"""What `manage.py check` says of a shop that could not take care of its money."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from orders.gateways.stripe_webhooks import SHORTEST_SECRET


@register()
def webhook_secret(**_: Any) -> list[CheckMessage]:
    """Without a secret anybody could tell us that an order is paid, so all messages are turned away."""
    secrets = settings.STRIPE_WEBHOOK_SECRETS
    if not secrets:
        return [_error("STRIPE_WEBHOOK_SECRET is not set: the gateway's messages are turned away with 503.")]
    if min(map(len, secrets)) < SHORTEST_SECRET:
        return [_error(f"STRIPE_WEBHOOK_SECRET has less than {SHORTEST_SECRET} characters: it could be guessed.")]
    return []


def _error(words: str) -> Error:
    hint = "The gateway's dashboard shows the signing secret of the endpoint /webhooks/stripe/."
    return Error(words, hint=hint, id="orders.E001")
