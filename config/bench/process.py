"""A relay or worker that also knows the benchmark's handler: `python -m config.bench.process relay`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import django


@contextmanager
def running(name: str, *, broker: bool = True) -> Iterator[None]:
    """Inside, such a process runs; with `broker` it uses the one that the environment names."""
    environment = os.environ if broker else {**os.environ, "BROKER_URL": ""}
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "config.bench.process", name], env=environment, stdout=sys.stderr
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command

    from config.bench import effects  # noqa: F401  registers its handler and its task

    call_command(sys.argv[1])


if __name__ == "__main__":
    main()
