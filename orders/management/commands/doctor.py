import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orders.books import Invariant, invariants


class Command(BaseCommand):
    help = "Check that the books balance: orders, payments, the bank's ledger, stock, deliveries. Exit 1 if not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print facts for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        checked = invariants()
        balanced = not any(invariant.violations for invariant in checked)
        if options["json"]:
            facts = {"ok": balanced, "invariants": [asdict(invariant) for invariant in checked]}
            self.stdout.write(json.dumps(facts, indent=2))
        else:
            for invariant in checked:
                self._print(invariant)
            self.stdout.write("The books balance." if balanced else "The books do not balance.")
        if not balanced:
            raise SystemExit(1)

    def _print(self, invariant: Invariant) -> None:
        mark = "✗" if invariant.violations else "✓"
        self.stdout.write(f"{mark} {invariant.id}  {invariant.title}: {invariant.violations} violations")
        for example in invariant.examples:
            self.stdout.write(f"      {example}")
