import logging
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Run a Celery worker that carries out what the relay hints at."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=4, help="handlers at once, in threads (default 4)")
        parser.add_argument("--queues", default="", help="comma-separated; all by default")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.BROKER_URL:
            raise CommandError("BROKER_URL is not set: without a broker the relay runs the handlers.")
        queues = options["queues"] or ",".join(queue.name for queue in current_app.conf.task_queues)
        current_app.worker_main(
            [
                "worker",
                "--pool=threads",
                f"--concurrency={options['concurrency']}",
                f"--queues={queues}",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
                f"--loglevel={logging.getLevelName(logging.root.level)}",
            ]
        )
