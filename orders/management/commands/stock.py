import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.models import Product, Stock
from orders.sheets import MOST_BYTES
from orders.stocktake import BadSheet, NotANumber, OutOfStock, Report, import_stock, recount


class Command(BaseCommand):
    help = "Show or correct how many units of a product are on hand, or import the counts of many from a CSV file."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        show = actions.add_parser("show", help="print on hand, reserved and available")
        correct = actions.add_parser("set", help="set the units on hand")
        for action in (show, correct):
            action.add_argument("sku")
        correct.add_argument("on_hand", type=int, metavar="N")
        correct.add_argument("--note", default="stock set", help="why, for the stock ledger")
        load = actions.add_parser("import", help="set the units on hand as a CSV file says, all or nothing")
        load.add_argument("file", metavar="FILE", help="columns sku, on_hand or change, note; - reads standard input")
        load.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        for action in (show, correct, load):
            action.add_argument("--json", action="store_true", help="print facts for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "import":
            self._import(options["file"], dry_run=options["dry_run"], as_json=options["json"])
            return
        product = Product.objects.filter(sku=options["sku"]).first()
        if product is None:
            raise CommandError(f"There is no product {options['sku']!r}.")
        stock = (
            self._set(product, options) if options["action"] == "set" else Stock.objects.filter(product=product).first()
        )
        self._print(product, stock or Stock(product=product), as_json=options["json"])

    def _set(self, product: Product, options: dict[str, Any]) -> Stock:
        try:
            return recount(product=product, on_hand=options["on_hand"], reason=options["note"])
        except NotANumber as refusal:
            raise CommandError(f"N: {refusal}") from refusal
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

    # -- import -------------------------------------------------------------------------------

    def _import(self, file: str, *, dry_run: bool, as_json: bool) -> None:
        try:
            report = import_stock(data=_bytes(file), dry_run=dry_run)
        except BadSheet as refusal:
            self._refuse(refusal, as_json=as_json)
            raise SystemExit(1) from refusal
        changes = [asdict(change) for change in report.changes or ()]
        if as_json:
            facts = {"ok": True, "applied": not dry_run, "lines": report.lines, "changes": changes, "faults": []}
            self.stdout.write(json.dumps(facts))
        else:
            self._tell(report, dry_run=dry_run)

    def _refuse(self, refusal: BadSheet, *, as_json: bool) -> None:
        if as_json:
            faults = [asdict(fault) for fault in refusal.faults]
            self.stdout.write(json.dumps({"ok": False, "applied": False, "changes": [], "faults": faults}))
            return
        for fault in refusal.faults:
            self.stderr.write(str(fault))
        self.stderr.write(f"Nothing was changed: {len(refusal.faults)} faults.")

    def _tell(self, report: Report, *, dry_run: bool) -> None:
        changes = report.changes or ()
        for change in changes:
            self.stdout.write(f"{change.sku}: {change.before} -> {change.after} ({change.difference:+d})")
        done = "would change" if dry_run else "changed"
        self.stdout.write(f"{len(changes)} of {report.lines} products {done}.")


def _bytes(file: str) -> bytes:
    """The file's beginning: one byte more than is allowed is enough to refuse it."""
    if file == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
