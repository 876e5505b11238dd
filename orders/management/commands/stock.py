import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.inventory import OutOfStock, set_on_hand
from orders.models import Product, Stock


class Command(BaseCommand):
    help = "Show or correct how many units of a product are on hand."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        show = actions.add_parser("show", help="print on hand, reserved and available")
        correct = actions.add_parser("set", help="set the units on hand")
        for action in (show, correct):
            action.add_argument("sku")
            action.add_argument("--json", action="store_true", help="print facts for programs")
        correct.add_argument("on_hand", type=int, metavar="N")
        correct.add_argument("--note", default="stock set", help="why, for the stock ledger")

    def handle(self, *args: Any, **options: Any) -> None:
        product = Product.objects.filter(sku=options["sku"]).first()
        if product is None:
            raise CommandError(f"There is no product {options['sku']!r}.")
        stock = (
            self._set(product, options) if options["action"] == "set" else Stock.objects.filter(product=product).first()
        )
        self._print(product, stock or Stock(product=product), as_json=options["json"])

    def _set(self, product: Product, options: dict[str, Any]) -> Stock:
        if not 0 <= options["on_hand"] <= 2_000_000_000:
            raise CommandError(f"N must be 0 to 2000000000, not {options['on_hand']}.")
        try:
            return set_on_hand(product=product, on_hand=options["on_hand"], note=options["note"])
        except OutOfStock as refusal:
            short = refusal.lines[0]
            raise CommandError(f"{short.wanted} units of {short.sku} are promised to orders in payment.") from refusal

    def _print(self, product: Product, stock: Stock, *, as_json: bool) -> None:
        facts = {
            "sku": product.sku,
            "on_hand": stock.on_hand,
            "reserved": stock.reserved,
            "available": stock.available,
        }
        if as_json:
            self.stdout.write(json.dumps(facts))
        else:
            self.stdout.write("{sku}: {on_hand} on hand, {reserved} reserved, {available} available".format(**facts))
