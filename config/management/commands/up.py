"""`manage.py up`: the whole shop on one machine, from one command.

Starts before the settings are read (see manage.py), because it decides what they say: which database,
which broker, which bank.
"""

import fcntl
import os
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from config import ports
from config.env import data_dir
from config.local_shop import LocalShop, NotOpened
from config.supervisor import stoppable, undisturbed

DEFAULT_PORT: Final = 8000


class Command(BaseCommand):
    help = "Run the whole shop on this machine: web, worker, relay, broker, bank and a mailbox."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, help=f"where the shop answers (default {DEFAULT_PORT}; 0 = any free port)"
        )
        parser.add_argument("--no-demo", action="store_true", help="do not load demo data")
        parser.add_argument("--no-broker", action="store_true", help="let the relay run the handlers")
        parser.add_argument("--data", metavar="DIR", help="the shop's data folder (default $WAYBILL_DATA or var/)")
        parser.add_argument("--smoke", action="store_true", help="place one order, wait for its letters, and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["data"]:
            os.environ["WAYBILL_DATA"] = options["data"]
        os.umask(0o077)  # customers, guest links and keys: what is written from here on is for this user alone
        folder = data_dir()
        os.environ["WAYBILL_DATA"] = str(folder)
        with only_shop_on(folder), stoppable():
            shop = LocalShop(folder=folder, listener=self._listen(options), say=self._say)
            try:
                status = self._run(shop, options)
            except KeyboardInterrupt:
                status = 0
            except NotOpened as reason:
                raise CommandError(str(reason)) from reason
            finally:
                with undisturbed():
                    shop.close()
        sys.exit(status)

    def _run(self, shop: LocalShop, options: dict[str, Any]) -> int:
        shop.open(with_demo=not options["no_demo"], with_broker=not options["no_broker"])
        if options["smoke"]:
            return shop.smoke()
        shop.announce()
        shop.keep_open()
        return 0

    def _listen(self, options: dict[str, Any]) -> socket.socket:
        wanted: int = DEFAULT_PORT if options["port"] is None else options["port"]
        listener = ports.listen_from(wanted) if wanted else ports.listen(0)
        got = listener.getsockname()[1]
        if wanted not in (0, got):
            self._say(f"Port {wanted} is taken; using {got}.")
        return listener

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


@contextmanager
def only_shop_on(folder: Path) -> Iterator[None]:
    """Hold the data folder for this process alone. The system frees it at our death, however we die."""
    with (folder / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CommandError(
                f"Process {lock.read().strip() or 'unknown'} already runs a shop on {folder}:"
                " stop it, or choose another folder with --data."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
