import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from notifications.pipeline import solitary

STOP_GRACE = 2.5  # seconds


class Command(BaseCommand):
    help = "Run one delivery in a process of its own. The relay asks for it, when two processes died that ran it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("delivery", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        stopped = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stopped.set())
        solitary.run(options["delivery"], stopped=stopped, grace=STOP_GRACE)
