"""`manage.py prune`: forget what is old enough, now; by itself it happens every night."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from notifications.pipeline import retention
from notifications.webhooks import calls


class Command(BaseCommand):
    help = (
        "Forgets what is old enough: deliveries, stopped workers and webhook calls that ended, and what the clock said."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        gone = retention.prune() | {"webhook calls": calls.prune()}
        words = ", ".join(f"{count} {kind}" for kind, count in gone.items())
        self.stdout.write(json.dumps(gone) if options["json"] else f"Forgotten: {words}.")
