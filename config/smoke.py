"""One order from outside, as a buyer's program would place it: `python -m config.smoke FACTS`.

FACTS is the path of the up.json of a running shop. Exits with 0 when the order was paid and both its
letters came, else with 1 and what was missing. Speaks HTTP with the standard library only.
"""

import json
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from notifications.mail import mailbox

SKU: Final = "MUG-RED"
PATIENCE: Final = 60.0  # seconds for both letters: one or two do, but not at the first start on a busy machine
PAUSE: Final = 0.05
ADDRESS: Final = {
    "name": "Smoke Test",
    "line1": "Harbour Lane 1",
    "line2": "",
    "postal_code": "20457",
    "city": "Hamburg",
    "country": "DE",
}


class Failed(Exception):
    """What was not seen, as a sentence."""


def main() -> int:
    path = Path(sys.argv[1])
    facts = json.loads(path.read_text())
    began = time.monotonic()
    try:
        order = place_order(facts)
        _say(f"Order {order['number']} is {order['payment_status']}: {_money(order['total'])}")
        for mail in wait_for_letters(path.parent / "mailbox", order):
            _say(f"Letter to {mail.to}: {mail.subject}")
    except Failed as failure:
        _say(f"Smoke test failed: {failure}")
        return 1
    _say(f"Smoke test passed in {time.monotonic() - began:.1f} s.")
    return 0


def place_order(facts: dict[str, Any]) -> dict[str, Any]:
    """The order as the API answers it, paid. Raises Failed for any other answer."""
    order = {
        "email": f"smoke-{secrets.token_hex(4)}@example.com",
        "items": [{"sku": SKU, "quantity": 1}],
        "shipping_address": ADDRESS,
        "shipping_method": "standard",
        "payment_method": "pm_card_visa",
    }
    headers = {
        "Authorization": f"Bearer {facts['api_keys']['customer']}",
        "Content-Type": "application/json",
        "Idempotency-Key": secrets.token_hex(16),
    }
    url = f"{facts['url']}/api/v1/orders/"
    status, body = _ask(urllib.request.Request(url, json.dumps(order).encode(), headers))  # noqa: S310
    if status != 201:
        raise Failed(f"the order was answered with {status}: {body[:500]}")
    placed: dict[str, Any] = json.loads(body)
    if placed["payment_status"] != "paid":
        raise Failed(f"the order is {placed['payment_status']}, not paid")
    return placed


def wait_for_letters(folder: Path, order: dict[str, Any]) -> list[mailbox.Mail]:
    """The buyer's confirmation and the notice to the shipping department. Raises Failed when one does not come."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        about = [mail for mail in mailbox.mails(folder) if order["number"] in mail.subject]
        confirmations = [mail for mail in about if order["email"] in mail.to]
        notices = [mail for mail in about if order["email"] not in mail.to]
        if confirmations and notices:
            return [confirmations[0], notices[0]]
        time.sleep(PAUSE)
    missing = "confirmation" if not confirmations else "shipping notice"
    raise Failed(f"no {missing} came within {PATIENCE:.0f} s")


def _ask(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode(errors="replace")
    except OSError as trouble:
        raise Failed(f"no answer from {request.full_url}: {trouble}") from trouble


def _money(money: dict[str, Any]) -> str:
    return f"{money['amount'] / 100:.2f} {money['currency']}"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
