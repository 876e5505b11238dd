"""Cards are typed into a frame of Stripe's: their number goes from the buyer's browser to Stripe, never to us.

Only where STRIPE_PUBLISHABLE_KEY is set, and only on the page that asks for a card, may a browser load anything of
theirs.
"""

from typing import Final

from csp.constants import SELF
from django.conf import settings
from django.http import HttpResponse

# What Stripe names for its card field: https://docs.stripe.com/security/guide#content-security-policy
OF_STRIPE: Final = {
    "script-src": ["https://js.stripe.com", "https://*.js.stripe.com"],
    "frame-src": [SELF, "https://js.stripe.com", "https://*.js.stripe.com", "https://hooks.stripe.com"],
    "connect-src": [SELF, "https://api.stripe.com"],
    "img-src": ["https://*.stripe.com"],
}


def with_card_field(response: HttpResponse) -> HttpResponse:
    """The page's content policy lets Stripe's frame in, where cards are typed in at all."""
    if settings.STRIPE_PUBLISHABLE_KEY:
        vars(response)["_csp_update"] = OF_STRIPE  # read by CSPMiddleware, as its decorators do
    return response
