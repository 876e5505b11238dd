"""A shop for each database, and beside it a web process that dies on demand and is started again."""

import subprocess
import sys

import pytest

from config import ports
from tests.journeys.conftest import books_balance, shop
from tests.postgres import postgres_server
from tests.rig import CHECKOUT, Shop, until

__all__ = ["books_balance", "postgres_server", "shop"]


class DyingWeb(Shop):
    """The same shop behind another web process: gunicorn with one worker, and another as soon as that one is dead."""

    def __init__(self, shop, folder):
        super().__init__(shop.folder, env=shop.environment())
        self.hits_file = folder / "hits"
        [self.port] = ports.free_ports(1)
        argv = [sys.executable, "-m", "gunicorn", "tests.crash.dying_web:application", "--preload", "--workers", "1"]
        argv += ["--worker-class", "gthread", "--threads", "4", "--bind", f"{ports.HOST}:{self.port}"]
        env = {**shop.environment(), "DYING_WEB_HITS": str(self.hits_file)}
        self.log = (folder / "web.log").open("wb")
        self.process = subprocess.Popen(
            [*argv, "--no-control-socket"], cwd=CHECKOUT, env=env, stdout=self.log, stderr=self.log
        )
        self._url = f"http://{ports.HOST}:{self.port}"
        until(lambda: ports.answers_http(self.port, "/healthz"), within=90, what="the dying web to answer")

    @property
    def url(self):
        return self._url

    def hits(self, where):
        """How often it died there, by its own account."""
        lines = self.hits_file.read_text().splitlines() if self.hits_file.exists() else []
        return sum(line.split()[0] == where for line in lines)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


@pytest.fixture(scope="session")
def dying_web(shop, tmp_path_factory):
    web = DyingWeb(shop, tmp_path_factory.mktemp("dying-web"))
    yield web
    web.stop()
