import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from notifications import correlation
from orders.books import Invariant, invariants, ledger_file
from orders.books.fixes import Fix, fixes
from orders.gateways.base import GatewaySilent
from orders.repairs import NotRepaired

NO_LEDGER = (
    "There is no ledger of a bank here to compare with: I1, I2, I3, I6 and I11 rest on our rows, and on the open "
    "differences with the gateway's list, which `manage.py settlement` compares."
)


class Command(BaseCommand):
    help = "Check that the books balance: orders, payments, the bank's ledger, stock, deliveries. Exit 1 if not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print facts for programs")
        parser.add_argument("--fix", action="store_true", help="propose each repair, ask, and carry it out")
        parser.add_argument("--yes", action="store_true", help="with --fix: carry out all of them without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        done = list(self._fix(options)) if options["fix"] else []
        checked = invariants()
        balanced = not any(invariant.violations for invariant in checked)
        if options["json"]:
            found = [asdict(invariant) for invariant in checked]
            facts = {"ok": balanced, "bank_ledger": ledger_file().exists(), "invariants": found}
            self.stdout.write(json.dumps(facts | ({"fixed": done} if options["fix"] else {}), indent=2))
        else:
            for invariant in checked:
                self._print(invariant)
            if not ledger_file().exists():
                self.stdout.write(NO_LEDGER)
            self.stdout.write("The books balance." if balanced else "The books do not balance.")
        if not balanced:
            raise SystemExit(1)

    def _print(self, invariant: Invariant) -> None:
        mark = "✗" if invariant.violations else "✓"
        self.stdout.write(f"{mark} {invariant.id}  {invariant.title}: {invariant.violations} violations")
        for example in invariant.examples:
            self.stdout.write(f"      {example}")

    def _fix(self, options: dict[str, Any]) -> Iterator[str]:
        """Each repair in turn: what one has changed, the next proposal knows."""
        with correlation.bound(correlation_id=correlation.correlation_id(), actor="doctor"):
            for fix in fixes():
                if options["yes"] or self._agreed(fix):
                    yield self._carried_out(fix)

    def _agreed(self, fix: Fix) -> bool:
        self.stderr.write(f"{fix.invariant}  {fix.words}")
        return input("Do it? [y/N] ").strip().lower() in ("y", "yes")

    def _carried_out(self, fix: Fix) -> str:
        try:
            fix.mend()
        except (NotRepaired, GatewaySilent) as problem:
            self.stderr.write(f"{fix.invariant}  not mended: {fix.words}: {problem}")
            return f"not mended: {fix.words}: {problem}"
        self.stderr.write(f"{fix.invariant}  done: {fix.words}")
        return fix.words
