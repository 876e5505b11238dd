import signal
from typing import Any

from django.core.management.base import BaseCommand

from notifications.pipeline.relay import Relay

STOP_GRACE = 2.5  # seconds


class Command(BaseCommand):
    help = "Hand due deliveries to Celery, or run them here when nobody else can."

    def handle(self, *args: Any, **options: Any) -> None:
        relay = Relay()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: relay.stop())
        relay.run()
        relay.close(grace=STOP_GRACE)
