"""`manage.py campaign send NAME`: start a campaign, pause it, let it go on, or look how far it is."""

import json
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from notifications.campaigns import campaigns
from notifications.campaigns.models import Campaign
from notifications.campaigns.progress import progress


class Command(BaseCommand):
    help = "Letters to everybody on the mailing list. They are written here and posted by the pipeline."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="write a draft")
        create.add_argument("name")
        create.add_argument("--subject", required=True)
        create.add_argument("--text", type=Path, required=True, metavar="FILE")
        create.add_argument("--per-minute", type=int, default=600)
        for word, says in {
            "send": "start it, or let a paused one go on",
            "pause": "write no more of its letters",
            "show": "how far it is",
        }.items():
            actions.add_parser(word, help=says).add_argument("name")
        for action in actions.choices.values():
            action.add_argument("--json", action="store_true", help="print facts for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        campaign = self._created(options) if options["action"] == "create" else self._named(options["name"])
        try:
            if options["action"] == "send":
                (campaigns.resume if campaign.state == Campaign.State.PAUSED else campaigns.start)(campaign)
            elif options["action"] == "pause":
                campaigns.pause(campaign)
        except campaigns.NotNow as refusal:
            raise CommandError(str(refusal)) from refusal
        facts = progress(campaign)
        words = ", ".join(f"{key} {value}" for key, value in facts.items())
        self.stdout.write(json.dumps(facts) if options["json"] else words)

    def _named(self, name: str) -> Campaign:
        found = Campaign.objects.filter(name=name).first()
        if found is None:
            there = ", ".join(Campaign.objects.order_by("-pk").values_list("name", flat=True)[:20]) or "none yet"
            raise CommandError(f"There is no campaign {name!r}. There are: {there}.")
        return found

    def _created(self, options: dict[str, Any]) -> Campaign:
        try:
            text = options["text"].read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"--text: {error}") from error
        made = Campaign(name=options["name"], subject=options["subject"], text=text, per_minute=options["per_minute"])
        try:
            made.full_clean(exclude={"driven_by", "total", "started_at", "finished_at"})
        except ValidationError as error:
            said = "; ".join(f"{field}: {' '.join(words)}" for field, words in error.message_dict.items())
            raise CommandError(said) from error
        made.save()
        return made
