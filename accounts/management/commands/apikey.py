"""`manage.py apikey create EMAIL --scopes a,b`: a key for a program, shown this once."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import keys
from accounts.models import User
from notifications.api.scopes import SCOPES


class Command(BaseCommand):
    help = "Make an API key for a user. Its text is printed once and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a key")
        create.add_argument("email", help="whose key it is")
        create.add_argument("--scopes", required=True, help=f"some of: {','.join(SCOPES)}")
        create.add_argument("--name", default="command line", help="what to know the key by")
        create.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = _scopes(options["scopes"])
        key, plain = keys.issue(user=_user(options["email"]), name=options["name"], scopes=scopes)
        if options["json"]:
            facts = {"email": key.user.email, "key": plain, "name": key.name, "scopes": key.scopes}
            self.stdout.write(json.dumps(facts))
            return
        self.stdout.write(plain)
        self.stderr.write(f"For {key.user.email}, may do: {', '.join(key.scopes)}. It is not shown again.")


def _scopes(text: str) -> list[str]:
    asked = {word.strip() for word in text.split(",") if word.strip()}
    unknown = sorted(asked - SCOPES.keys())
    if unknown or not asked:
        said = f"No scope is called {', '.join(unknown)}" if unknown else "No scope was named"
        raise CommandError(f"{said}. There are: {', '.join(SCOPES)}.")
    return sorted(asked)


def _user(email: str) -> User:
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        raise CommandError(f"Nobody here has the e-mail address {email}.")
    return user
