"""`python -m orders.gateways.bank --port N --ledger PATH`: run the bank until it is stopped or killed."""

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

from orders.gateways.bank.clerk import Clerk
from orders.gateways.bank.desk import Desk
from orders.gateways.bank.faults import Faults
from orders.gateways.bank.files import AlreadyOpen
from orders.gateways.bank.playground import Playground
from orders.gateways.bank.server import Server
from orders.gateways.bank.vault import Vault
from orders.gateways.bank.webhooks import Webhooks


def main() -> int:
    """Serve. There is no clean-up at the end: any death is the same to the files."""
    options = _options()
    try:
        vault = Vault(options.ledger, key_life=options.key_life)
    except AlreadyOpen as opened:
        print(f"Another bank writes {opened}.", file=sys.stderr)  # noqa: T201
        return 2
    with Server(options.host, options.port) as server:
        webhooks = Webhooks(options.webhook_url, options.webhook_secret)
        clerk, faults = Clerk(vault, webhooks, site=server.site, late=options.late), Faults()
        clerk.resume()
        server.desk = Desk(vault, clerk, faults)
        server.playground = Playground(vault, clerk, faults, webhooks) if options.playground else None
        print(f"bank {server.site}", flush=True)  # noqa: T201
        try:
            server.serve_forever(poll_interval=60)
        except KeyboardInterrupt:
            return 0
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m orders.gateways.bank", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one; the first line printed names it")
    parser.add_argument("--ledger", type=Path, required=True, help="where each movement of money is written")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--webhook-url", type=_address, default="", help="where events are sent; nowhere if not given")
    parser.add_argument("--webhook-secret", default="", help="signs the events")
    parser.add_argument("--key-life", type=float, default=86_400, help="seconds an idempotency key is remembered")
    parser.add_argument("--late", type=float, default=20, help="seconds that late charges and slow refunds take")
    parser.add_argument("--playground", action="store_true", help="let tests switch faults on over HTTP")
    options = parser.parse_args()
    if options.webhook_url and not options.webhook_secret:
        parser.error("--webhook-url needs --webhook-secret: unsigned events are refused")
    return options


def _address(text: str) -> str:
    if text and urlsplit(text).scheme not in ("http", "https"):
        raise argparse.ArgumentTypeError(f"not an http address: {text}")
    return text


if __name__ == "__main__":
    sys.exit(main())
