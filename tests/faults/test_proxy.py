"""The proxy fails as told: what it does is shown on a server that answers each line with the same line."""

import http.client
import socket
import socketserver
import threading
import time

import psycopg
import pytest

from config.postgresql import driver
from tests.faults.proxy import PostgresProxy, Proxy
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]


class Echo(socketserver.ThreadingTCPServer):
    """Sends back each line; `heard` is what arrived."""

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        self.heard = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.server.heard.append(line)
            self.wfile.write(line)


@pytest.fixture
def echo():
    with Echo() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo):
    with Proxy(echo.server_address[1]) as proxy:
        yield proxy


@pytest.fixture
def client(proxy):
    with dialled(proxy) as client:
        yield client


def dialled(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=1)


def test_without_a_fault_everything_passes(client):
    client.sendall(b"hello\n")

    assert client.recv(100) == b"hello\n"


def test_many_bytes_arrive_whole_and_in_order(client):
    long = b"".join(b"%07d" % n for n in range(100_000)) + b"\n"
    sender = threading.Thread(target=client.sendall, args=[long])

    sender.start()
    came = b""
    while len(came) < len(long):
        came += client.recv(65_536)
    sender.join()

    assert came == long


def test_down_ends_connections_and_refuses_new_ones_until_it_is_healed(proxy, client):
    client.sendall(b"hello\n")
    client.recv(100)

    proxy.down()

    assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        dialled(proxy)
    proxy.heal()
    with dialled(proxy) as again:
        again.sendall(b"again\n")
        assert again.recv(100) == b"again\n"


def test_a_black_hole_accepts_and_never_answers_and_what_it_held_arrives_late(proxy, echo):
    proxy.black_hole()
    with dialled(proxy) as client:
        client.sendall(b"hello\n")
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert echo.heard == []

        proxy.heal()

        assert client.recv(100) == b"hello\n"


def test_an_answer_is_cut_after_so_many_bytes_and_the_request_has_arrived(proxy, client, echo):
    proxy.cut_answers(after=3)

    client.sendall(b"hello\n")

    assert (client.recv(100), client.recv(100)) == (b"hel", b"")
    assert echo.heard == [b"hello\n"]


def test_only_the_answer_to_one_kind_of_request_is_cut(proxy, client, echo):
    proxy.cut_answers(to="confirm")

    client.sendall(b"create\n")
    assert client.recv(100) == b"create\n"
    client.sendall(b"confirm\n")

    assert client.recv(100) == b""
    assert echo.heard == [b"create\n", b"confirm\n"]


def test_an_answer_drips(proxy, client):
    proxy.drip(piece=2, every=0.2)
    began = time.monotonic()

    client.sendall(b"hello\n")
    pieces = [client.recv(100) for _ in range(3)]

    assert pieces == [b"he", b"ll", b"o\n"]
    assert time.monotonic() - began > 0.4


def test_a_server_that_is_not_there_is_a_closed_connection(proxy, echo):
    echo.server_close()
    echo.shutdown()

    with dialled(proxy) as client:
        assert client.recv(100) == b""


def test_it_carries_http(bank_process):
    with Proxy(int(bank_process.url.rpartition(":")[2])) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
        connection.request("GET", "/v1/nothing")
        assert connection.getresponse().status in (401, 404)
        connection.close()


@pytest.fixture
def database(postgres_url):
    """A table on PostgreSQL, the proxy to it, and what is really in it."""
    port = int(postgres_url.rpartition(":")[2].partition("/")[0])
    with psycopg.connect(postgres_url, autocommit=True) as direct, PostgresProxy(port) as proxy:
        direct.execute("CREATE TABLE one (n int)")
        direct.execute("CREATE TABLE other (n int)")
        yield proxy, proxy.database_url(postgres_url), lambda: direct.execute("SELECT n FROM one").fetchall()


def insert(connection, table):
    with connection.transaction():
        connection.execute(f"INSERT INTO {table} VALUES (%s)", [1])


def test_the_answer_to_commit_is_lost_and_the_row_is_there(database):
    proxy, url, rows = database
    with psycopg.connect(url, autocommit=True) as connection:
        proxy.lose_commit("INTO one", arrives=True)
        insert(connection, "other")
        assert (proxy.lost, connection.closed) == (0, False)

        with pytest.raises(psycopg.OperationalError):
            insert(connection, "one")

        assert (proxy.lost, rows()) == (1, [(1,)])


def test_commit_itself_is_lost_and_the_row_is_not_there(database):
    proxy, url, rows = database
    with psycopg.connect(url, autocommit=True) as connection:
        proxy.lose_commit("INTO one", arrives=False)

        with pytest.raises(psycopg.OperationalError):
            insert(connection, "one")

        assert (proxy.lost, rows()) == (1, [])


@pytest.mark.parametrize(("arrives", "there"), [(True, [(1,)]), (False, [])])
def test_a_commit_is_lost_in_silence(database, arrives, there):
    proxy, url, rows = database
    proxy.lose_commit("INSERT", "INTO one", arrives=arrives, silently=True)
    with driver.connect(url, autocommit=True) as connection, connection.answering_within(1):
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            insert(connection, "one")

        assert (connection.closed, proxy.lost, rows()) == (True, 1, there)


def test_one_commit_is_lost_and_the_next_is_not(database):
    proxy, url, rows = database
    proxy.lose_commit("INTO one", arrives=True)
    for expected in (psycopg.OperationalError, None):
        with psycopg.connect(url, autocommit=True) as connection:
            if expected:
                with pytest.raises(expected):
                    insert(connection, "one")
            else:
                insert(connection, "one")

    assert (proxy.lost, rows()) == (1, [(1,), (1,)])


def test_a_commit_of_a_pipeline_is_recognised_too(database):
    proxy, url, rows = database
    with psycopg.connect(url, autocommit=True) as connection:
        proxy.lose_commit("INTO one", arrives=False)

        with pytest.raises(psycopg.OperationalError), connection.pipeline():
            insert(connection, "one")

        assert (proxy.lost, rows()) == (1, [])
