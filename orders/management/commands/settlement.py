"""`manage.py settlement`: compare the gateway's books with ours now."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders import settlement
from orders.gateways.base import GatewaySilent
from orders.models import Difference
from orders.templatetags.shop import money


class Command(BaseCommand):
    help = "Compares the gateway's list of the last hours with our books. Ends with 1 when they differ."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=int, default=48, help="how far back, 48 when left out")
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, hours: int, json: bool, **options: Any) -> None:
        if hours < 1:
            raise CommandError("--hours must be at least 1.")
        try:
            found = settlement.settle_books(hours=hours)
        except GatewaySilent as silence:
            raise CommandError(f"The bank did not list its payments ({silence}). Nothing was concluded.") from silence
        self.stdout.write(_as_json(found) if json else "\n".join(_in_words(found, hours)))
        if found:
            sys.exit(1)


def _as_json(found: list[Difference]) -> str:
    return json.dumps([_facts(one) for one in found], indent=2, default=str)


def _facts(one: Difference) -> dict[str, Any]:
    names = ("id", "kind", "reference", "gateway_id", "amount", "currency", "detail", "found_at")
    return {name: getattr(one, name) for name in names} | {"order": str(one.order) if one.order else None}


def _in_words(found: list[Difference], hours: int) -> list[str]:
    if not found:
        return [f"The last {hours} hours: the gateway's books and ours agree."]
    lines = [f"{len(found)} open difference{'s'[: len(found) != 1]}. Repair them at /admin/orders/difference/:"]
    for one in found:
        amount = money(one.amount, one.currency) if one.currency else ""
        facts = filter(None, [str(one.order or ""), amount, one.detail])
        lines.append(f"  {one.get_kind_display()}: {', '.join(facts)}")
    return lines
