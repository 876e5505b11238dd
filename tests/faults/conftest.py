"""A shop on PostgreSQL whose lines to the database, the bank and the broker fail when a test says so."""

import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from config import broker as brokers
from config import ports
from tests import postgres
from tests.broker.conftest import Server
from tests.faults.crowd import Client
from tests.faults.market import Market, OwnBank
from tests.faults.proxy import PostgresProxy, Proxy
from tests.journeys.conftest import books_balance, staffed
from tests.rig import CHECKOUT, missing

__all__ = ["books_balance"]


class LinedShop(Market):
    """The shop reaches its database over a line that fails; who asks about the truth does not."""

    def __init__(self, folder, bank, *, direct, env):
        super().__init__(folder, bank, env=env)
        self.direct = direct

    @property
    def facts(self):
        return {**super().facts, "database_url": self.direct}

    def run(self, module, *arguments):
        """What a Python module prints in this shop's environment; it must end well."""
        argv = [sys.executable, "-m", module, *map(str, arguments)]
        done = subprocess.run(argv, cwd=CHECKOUT, env=self.environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout


@dataclass(frozen=True)
class Lines:
    database: PostgresProxy
    bank: Proxy
    broker: Proxy

    def heal(self):
        for line in (self.database, self.bank, self.broker):
            line.heal()


@pytest.fixture(scope="session")
def cluster():
    with postgres.cluster() as started:
        yield started


@pytest.fixture(scope="session")
def lined(cluster, tmp_path_factory):
    """The shop and its lines; use them through the fixtures below."""
    folder = tmp_path_factory.mktemp("faults")
    server = brokers.find_server() or missing("no Valkey or Redis server")
    with ExitStack() as stack:
        direct = stack.enter_context(postgres.database(cluster.url))
        [broker_port] = ports.free_ports(1)
        home = folder / "broker"
        broker = Server(brokers.program(server=server, port=broker_port, folder=home), home, broker_port)
        stack.callback(broker.kill)
        broker.start()
        bank = OwnBank(folder).start()
        stack.callback(bank.kill)
        lines = Lines(
            stack.enter_context(PostgresProxy(cluster.port)),
            stack.enter_context(Proxy(bank.port)),
            stack.enter_context(Proxy(broker_port)),
        )
        env = {
            "DATABASE_URL": lines.database.database_url(direct),
            "STRIPE_API_BASE": lines.bank.url,
            "BROKER_URL": brokers.url(lines.broker.port),
        }
        shop = stack.enter_context(LinedShop(folder / "shop", bank, direct=direct, env=env))
        yield staffed(shop), lines


@pytest.fixture
def lines(lined):
    """Without fault before and after."""
    yield lined[1]
    lined[1].heal()


@pytest.fixture
def shop(lined, lines):
    return lined[0]


@pytest.fixture
def slack(shop):
    """Seconds to add to a promise made for a quiet machine: five healthy checkouts, as long as they take now."""
    client = Client(shop)
    began = time.monotonic()
    for _ in range(5):
        assert client.order().status == 201
    client.close()
    return time.monotonic() - began


@pytest.fixture
def client(shop):
    client = Client(shop)
    yield client
    client.close()
