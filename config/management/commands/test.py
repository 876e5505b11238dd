"""`manage.py test`: every test, by pytest.

Starts before the settings are read: the tests get a data folder of their own.
"""

import os
import subprocess
import sys
import tempfile
from typing import Any

from django.core.management.base import BaseCommand

from config.env import BASE_DIR


class Command(BaseCommand):
    help = "Run every test. --full adds the long crash and soak runs; all other arguments go to pytest."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        if argv[2:] in (["-h"], ["--help"]):
            return self.print_help(argv[0], argv[1])
        return self.handle(*argv[2:])

    def handle(self, *args: str, **options: Any) -> None:
        """Exit with pytest's code."""
        if "--full" in args:
            os.environ["WAYBILL_FULL"] = "1"
        passed_on = [word for word in args if word != "--full"]
        with tempfile.TemporaryDirectory(prefix="waybill-test-") as folder:
            # Else a shop that runs on the usual folder would lend the tests its database and broker.
            environment = {**os.environ, "WAYBILL_DATA": folder}
            argv = [sys.executable, "-m", "pytest", *(passed_on or _lanes(folder))]
            status = subprocess.call(argv, cwd=BASE_DIR, env=environment)  # noqa: S603
        sys.exit(status)


def _lanes(folder: str) -> list[str]:
    """Options by which all tests run in two processes, each with its own data folder; the slowest are named."""
    lanes = [f"--tx=popen//env:WAYBILL_DATA={folder}/{lane}" for lane in ("first", "second")]
    return ["--dist=loadfile", "--no-loadscope-reorder", "--durations=20", *lanes]
