"""A process that carries out what the measured requests cause: `python -m config.bench.runner MODULE ROLE`."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module

import django

from config.bench.ways import Way


class Runner:
    """One such process, with the children it may have; `with` starts and stops it."""

    def __init__(self, way: Way, role: str) -> None:
        self._way, self._role = way, role

    def __enter__(self) -> "Runner":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def start(self) -> None:
        argv = [sys.executable, "-m", __name__, self._way.path, self._role]
        # Their broker is for them alone: a relay alone must not find one.
        broker = "" if self._way.roles == ("relay",) else os.environ["BROKER_URL"]
        environment = os.environ | {"BROKER_URL": broker}
        self._process = subprocess.Popen(argv, env=environment, stdout=sys.stderr, start_new_session=True)  # noqa: S603
        ready = getattr(import_module(self._way.path), "wait_until_it_runs", None)
        if ready:
            ready(self._role)

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, with all its children."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(way: Way) -> Iterator[list[Runner]]:
    """Inside, its processes run, in the order of its roles."""
    with ExitStack() as stack:
        yield [stack.enter_context(Runner(way, role)) for role in way.roles]


def main() -> None:
    django.setup()
    module, role = sys.argv[1:]
    import_module(module).run(role)


if __name__ == "__main__":
    main()
