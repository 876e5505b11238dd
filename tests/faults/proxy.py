"""A line that fails when told to: a TCP proxy in front of the database, the bank or the broker.

    with Proxy(target=8200) as line:  # clients talk to line.port
        line.black_hole()             # they wait for answers that do not come
        line.heal()

What a black hole has held back arrives when it is healed, late, as it does in a network.
"""

import asyncio
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from config import ports

CHUNK = 65_536
PROTOCOL_3 = b"\x00\x03\x00\x00"  # how a PostgreSQL client begins in earnest, after asking for encryption
CUT_SHORT = (OSError, asyncio.IncompleteReadError)


@dataclass(frozen=True)
class Answers:
    """How bytes come back: `piece` at a time, each `every` seconds late, and after `until` of them the line is cut."""

    until: float = float("inf")
    piece: int = CHUNK
    every: float = 0.0


@dataclass(eq=False)
class Link:
    """One client's connection to us, and ours to the server for it, as (reader, writer)."""

    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    task: asyncio.Task
    answers: Answers | None = None  # its own, whatever the others get
    silent: bool = False  # open, and nothing passes any more, either way

    def cut(self):
        for _, writer in (self.client, self.server):
            writer.transport.abort()


class Proxy:
    """Clients reach `target` (a port of this machine) by `port`, as well as the fault of the moment lets them."""

    def __init__(self, target):
        self.target = target
        [self.port] = ports.free_ports(1)
        self._links = set()
        self._answers = Answers()
        self._marked = None  # a request that contains these bytes, and how its answer comes back
        self._listener = None
        self._flows = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {self.port}", daemon=True)

    @property
    def url(self):
        return f"http://{ports.HOST}:{self.port}"

    def __enter__(self):
        self._thread.start()
        self.heal()
        return self

    def __exit__(self, *_):
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def heal(self):
        """No fault any more. What a fault has cut stays cut."""
        self._now(self._fault(Answers()))

    def down(self):
        """Nobody listens: connections end, new ones are refused."""
        self._now(self._hang_up())

    def black_hole(self):
        """Connections are accepted and stay open, and nothing passes either way."""
        self._now(self._fault(Answers(), flows=False))

    def cut_answers(self, *, after=0, to=""):
        """Requests arrive; of what comes back each connection gets `after` bytes, and then its end.

        With `to`: only those connections that ask for something that contains it.
        """
        cut = Answers(until=after)
        self._now(self._fault(Answers(), marked=(to.encode(), cut)) if to else self._fault(cut))

    def drip(self, *, piece, every):
        """Requests arrive; answers come back `piece` bytes at a time, each `every` so many seconds late."""
        self._now(self._fault(Answers(piece=piece, every=every)))

    def _now(self, change):
        asyncio.run_coroutine_threadsafe(change, self._loop).result(10)

    async def _fault(self, answers, *, flows=True, marked=None):
        self._answers, self._marked = answers, marked
        (self._flows.set if flows else self._flows.clear)()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, ports.HOST, self.port, backlog=ports.BACKLOG)

    async def _hang_up(self):
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        serving = [link.task for link in self._links]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, *client):
        try:
            server = await asyncio.open_connection(ports.HOST, self.target)
        except OSError:
            client[1].transport.abort()
            return
        link = Link(client, server, asyncio.current_task())
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forth(link))
                both.create_task(self._back(link))
        except* CUT_SHORT:
            link.cut()
        except* asyncio.CancelledError:
            link.cut()
        finally:
            self._links.discard(link)

    async def _forth(self, link):
        while data := await link.client[0].read(CHUNK):
            if self._marked and self._marked[0] in data:
                link.answers = self._marked[1]
            await self._send(link, data)
        link.server[1].close()

    async def _send(self, link, data):
        await self._flows.wait()
        if not link.silent:
            link.server[1].write(data)
            await link.server[1].drain()

    async def _back(self, link):
        way, passed = None, 0
        while data := await link.server[0].read(CHUNK):
            while data and not link.silent:
                await self._flows.wait()
                if way is not (now := link.answers or self._answers):
                    way, passed = now, 0
                await asyncio.sleep(way.every)
                piece = data[: min(way.piece, way.until - passed)]
                link.client[1].write(piece)
                await link.client[1].drain()
                data, passed = data[len(piece) :], passed + len(piece)
                if passed >= way.until:
                    raise ConnectionAbortedError
        if not link.silent:
            link.client[1].close()


class PostgresProxy(Proxy):
    """Reads along what clients say to PostgreSQL, and can lose the COMMIT of one chosen transaction."""

    def __init__(self, target):
        super().__init__(target)
        self.lost = 0
        self._doomed = None

    def database_url(self, direct):
        """The way to the same database through here. Unencrypted, else nobody could read along."""
        parts = urlsplit(direct)
        user = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{user}@{ports.HOST}:{self.port}", query="sslmode=disable"))

    def lose_commit(self, *of, arrives, silently=False):
        """The next transaction whose statements contain all of `of` loses its connection at COMMIT.

        It `arrives` and its answer is lost, or not even that. `silently`: the connection seems to stay open.
        `lost` becomes 1 when it has happened.
        """
        self.lost, self._doomed = 0, ([words.encode() for words in of], arrives, silently)

    async def _forth(self, link):
        said = b""
        async for message in messages(link.client[0]):
            words = statement(message)
            said = words if words.upper().startswith(b"BEGIN") else said + words
            if words.upper().startswith(b"COMMIT") and self._is_doomed(said):
                self._lose(link, message)
            else:
                await self._send(link, message)
        link.server[1].close()

    def _is_doomed(self, said):
        return self._doomed is not None and all(words in said for words in self._doomed[0])

    def _lose(self, link, commit):
        (_, arrives, silently), self._doomed = self._doomed, None
        link.silent, link.answers = silently, Answers(until=0)
        if arrives:
            link.server[1].write(commit)
        elif not silently:
            link.cut()
        self.lost += 1


async def messages(reader):
    """What a PostgreSQL client sends, message by message: without a type until it has named its protocol."""
    begun = False
    while not reader.at_eof():
        kind = await reader.read(1) if begun else b""
        if begun and not kind:
            return
        length = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(length) - 4)
        begun = begun or body.startswith(PROTOCOL_3)
        yield kind + length + body


def statement(message):
    """The SQL of a simple query (Q), or of one that is parsed first (P); nothing for other messages."""
    match message[:1]:
        case b"Q":
            return message[5:].rstrip(b"\0")
        case b"P":
            return message[5:].split(b"\0")[1]
    return b""
