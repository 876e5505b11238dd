"""The page on which a buyer approves a payment, as a card's own bank shows it."""

from html import escape
from urllib.parse import urlencode

from orders.gateways.bank.papers import Intent

APPROVED = ("succeeded", "requires_capture")

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Approve the payment · The bank</title>
<style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }}
main {{ max-width: 26rem; margin: 12vh auto; padding: 1.5rem; border: 1px solid #8888; border-radius: .75rem }}
strong {{ font-size: 1.6rem }}
button {{ font: inherit; min-height: 2.75rem; padding: .5rem 1.25rem; margin: .5rem .5rem 0 0; border-radius: .5rem;
  border: 1px solid #1a56b0; cursor: pointer }}
button[value=approve] {{ background: #1a56b0; color: #fff }}
button[value=refuse] {{ background: transparent; color: inherit }}
</style>
</head>
<body><main><h1>The bank</h1>{content}</main></body>
</html>
"""

QUESTION = """<p>{description}</p><p><strong>{amount}</strong></p>
<p>Did you ask for this payment? No real money moves: this bank is a stand-in.</p>
<form method="post"><button name="decision" value="approve">Approve</button>
<button name="decision" value="refuse">Decline</button></form>"""


def challenge_page(intent: Intent) -> str:
    """The question while there is one, else what became of it."""
    if intent.status != "requires_action":
        return closing_page(intent)
    amount = f"{intent.amount / 100:,.2f} {intent.currency.upper()}"
    return PAGE.format(content=QUESTION.format(description=escape(intent.description or "A payment"), amount=amount))


def closing_page(intent: Intent) -> str:
    words = "The payment is approved." if intent.status in APPROVED else "The payment was not made."
    return PAGE.format(content=f"<p>{words} You can close this page.</p>")


def way_back(intent: Intent) -> str:
    """Where the buyer goes next, with what Stripe adds to the address; empty when the shop named no place."""
    if not intent.return_url:
        return ""
    told = {
        "payment_intent": intent.id,
        "payment_intent_client_secret": f"{intent.id}_secret",
        "redirect_status": "succeeded" if intent.status in APPROVED else "failed",
    }
    return f"{intent.return_url}{'&' if '?' in intent.return_url else '?'}{urlencode(told)}"
