"""A shop for each database whose broker and mail server belong to the test: it decides when they live and die."""

import json
import shutil
import socket
import subprocess

import pytest

from config import broker as brokers
from config import ports, programs
from notifications.mail import mailbox
from tests.journeys.conftest import books_balance, staffed
from tests.postgres import database, postgres_server
from tests.rig import CHECKOUT, Shop, missing, until

__all__ = ["books_balance", "postgres_server"]


class Server:
    """One process of ours on a fixed port, to be killed and started again."""

    def __init__(self, program, folder, port):
        self.program, self.folder, self.port = program, folder, port
        self.process = None

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(self.program.argv, cwd=CHECKOUT, stdout=quiet, stderr=quiet)
        until(lambda: answers(self.port), within=20, what=f"{self.program.name} to answer")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def lose(self):
        """Killed, and everything it had stored is gone."""
        self.kill()
        shutil.rmtree(self.folder)


def answers(port):
    try:
        socket.create_connection((ports.HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


class Post(Server):
    """The mail server of the world outside, and what it has received."""

    @property
    def letters(self):
        return list(mailbox.mails(self.folder / "mailbox"))

    def receipts(self):
        """Raw receipts by Message-ID, second copies included."""
        lines = self.folder / "mailbox" / mailbox.RECEIPTS
        return [json.loads(line)["message_id"] for line in lines.read_text().splitlines()] if lines.exists() else []


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def place(request, tmp_path_factory):
    """Broker, mail server and shop; use them through the fixtures below."""
    folder = tmp_path_factory.mktemp(f"broker-{request.param}")
    server = brokers.find_server() or missing("no Valkey or Redis server")
    broker_port, smtp_port = ports.free_ports(2)
    home = folder / "broker"
    broker = Server(brokers.program(server=server, port=broker_port, folder=home), home, broker_port)
    post = Post(programs.smtp(port=smtp_port, folder=folder / "post"), folder / "post", smtp_port)
    env = {"BROKER_URL": brokers.url(broker_port), "EMAIL_URL": f"smtp://{ports.HOST}:{smtp_port}"}
    try:
        broker.start()
        if request.param == "sqlite":
            with Shop(folder / "shop", env=env) as shop:
                yield staffed(shop), broker, post
            return
        server_url = request.getfixturevalue("postgres_server")
        with database(server_url) as url, Shop(folder / "shop", env=env | {"DATABASE_URL": url}) as shop:
            yield staffed(shop), broker, post
    finally:
        broker.kill()
        post.kill()


@pytest.fixture
def broker(place):
    """The broker, running; as it is again at the end."""
    broker = place[1]
    if broker.process is None:
        broker.start()
    yield broker
    if broker.process is None:
        broker.start()


@pytest.fixture
def post(place):
    """The mail server, running unless the test stops it."""
    post = place[2]
    if post.process is None:
        post.start()
    return post


@pytest.fixture
def shop(place, broker):
    return place[0]


@pytest.fixture
def no_letter_twice(post):
    """The mail server receives no letter a second time while the test runs."""
    began = len(post.receipts())
    yield
    received = post.receipts()[began:]
    assert len(set(received)) == len(received)
