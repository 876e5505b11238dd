"""`manage.py forget EMAIL`: somebody asks, by letter or telephone, to be forgotten; with an account or without."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import erasure


class Command(BaseCommand):
    help = "Close the account of an e-mail address, if there is one, and erase all that we know of the person."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="make sure first that it is theirs")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            begun = erasure.forget(email=options["email"])
        except erasure.StaffStay as error:
            raise CommandError("This person has rights in the shop. Take those away first.") from error
        except erasure.ClosedBefore as error:
            raise CommandError("This account has been disabled. Enable it first.") from error
        except ValueError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"erasure": begun.pk, "parts": begun.parts}))
        else:
            self.stdout.write(f"Begun. It is done in about 20 minutes, once nothing is on its way: {begun}.")
