"""The data plane's client: HTTP/1.1, kept-alive connections by origin, one pool for each event loop."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from msgspec import Struct

from gateway.errors import UpstreamClosed, UpstreamTimeout
from gateway.known import Known
from gateway.net import tls as _tls
from gateway.net.client import DEFAULT_TIMEOUTS, Lines, Timeouts, lines
from gateway.net.connection import Connection
from gateway.net.dial import Origin, dial
from gateway.net.exchange import Exchange
from gateway.net.proxies import Proxies, Proxy

JOIN_BELOW = 64 * 1024  # a larger body is written on its own, so that it is not copied


class Settings(Struct, frozen=True):
    limit: int = 1000  # connections to one origin; who comes later waits for one
    keep_alive: float = 55.0  # below the 60 s after which load balancers drop a connection


class Pool:
    """A `Client`. Made anywhere, used from any event loop; connections never cross from one loop to another.

        pool = Pool()
        response = await pool.send("POST", "https://api.example.com/v1/messages", headers=[...], body=b"{}")
        while chunk := await response.chunk():
            ...

    `tls` builds the context on first use; `proxies` defaults to HTTPS_PROXY, NO_PROXY and their kin.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        tls: Callable[[], ssl.SSLContext] = _tls.context,
        proxies: Proxies | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._make_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._proxies = Proxies.from_env(os.environ) if proxies is None else proxies
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Origins] = WeakKeyDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None  # the last one seen, and its connections
        self._here: Origins = {}
        self._targets: Known[tuple[str, str], Target] = Known(self._target)

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> Exchange:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._here = loop, self._by_loop.setdefault(loop, {})
            self._targets.clear()
        target = self._targets[method, url]
        connections, parts = target.connections, target.encode(headers, body)
        connection = connections.idle()
        while True:
            if connection is None:
                connection = await connections.open(timeouts.connect)
            exchange = connection.ask(parts, timeouts, no_body=method == "HEAD")
            try:
                while not exchange.begun:
                    await exchange.more(timeouts.first_byte)
                return exchange
            except UpstreamClosed as error:
                # The server closed the idle connection while it was taken up again. A fresh one cannot have that fate; one
                # that another request has just handed over can.
                if error.sent:
                    raise
                connection = None
            except BaseException:
                exchange.close()
                raise

    async def close(self) -> None:
        """Drops every connection of the running loop. The pool can be used again."""
        here = self._by_loop.pop(asyncio.get_running_loop(), {})
        self._here = {}
        self._targets.clear()
        self._loop = None
        for connections in here.values():
            connections.close()

    def _target(self, asked: tuple[str, str]) -> Target:
        method, url = asked
        slash = url.find("/", 8)
        prefix, path = (url, "/") if slash < 0 else (url[:slash], url[slash:])
        connections = self._connections(asyncio.get_running_loop(), prefix)
        return Target(connections, connections.start(method, path), method in ("POST", "PUT", "PATCH"))

    def _connections(self, loop: asyncio.AbstractEventLoop, prefix: str) -> Connections:
        found = self._here.get(prefix)
        if found is None:
            origin = Origin.parse(prefix)
            proxy = self._proxies.of(origin.scheme, origin.host, origin.port)
            found = Connections(loop, origin, settings=self._settings, tls=self._context, proxy=proxy)
            self._here[prefix] = found
        return found

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = self._make_tls()
        return self._tls


class Target(Struct, frozen=True, eq=False):
    """What is asked at a URL, worked out once."""

    connections: Connections
    start: bytes
    framed: bool  # it has a body, be it an empty one

    def encode(self, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> tuple[bytes, ...]:
        own = headers.wire if type(headers) is Lines else lines(headers)
        end = b"content-length: %d\r\n\r\n" % len(body) if self.framed or body else b"\r\n"
        if len(body) < JOIN_BELOW:
            return (b"".join((self.start, own, end, body)),)
        return b"".join((self.start, own, end)), body


class Connections:
    """All connections to one origin in one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        *,
        settings: Settings,
        tls: Callable[[], ssl.SSLContext],
        proxy: Proxy | None,
    ) -> None:
        self._loop = loop
        self._origin = origin
        self._settings = settings
        self._tls = tls
        self._proxy = proxy
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._dialling = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()

    def start(self, method: str, path: str) -> bytes:
        """The lines with which a request for this begins."""
        origin, proxy = self._origin, self._proxy
        lines = [f"{method} {path} HTTP/1.1", f"host: {origin.authority}"]
        if proxy is not None and origin.scheme != "https":
            lines[0] = f"{method} http://{origin.authority}{path} HTTP/1.1"
            lines += ["proxy-authorization: " + proxy.authorization.decode()] if proxy.authorization else []
        text = "\r\n".join((*lines, ""))
        if " " in path or text.count("\n") != len(lines) or text.count("\r") != len(lines):
            raise ValueError("a line break or space in the target of the request")
        return text.encode("ascii")

    def idle(self) -> Connection | None:
        free, now = self._free, self._loop.time()
        while free:
            connection = free.pop()
            if now < connection.due:
                return connection
            connection.abort()  # its time was over while the process slept
        return None

    async def open(self, timeout: float) -> Connection:
        """A fresh connection, or, at the limit, the first one that becomes free."""
        if len(self._all) + self._dialling >= self._settings.limit:
            freed = await self._wait(timeout)
            if freed is not None:
                return freed
        self._dialling += 1
        try:
            connection = await dial(
                self._origin, self._connection, proxy=self._proxy, tls=self._tls, timeout=timeout
            )
        finally:
            self._dialling -= 1
        if connection.transport.is_closing():
            text = "the upstream closed the connection at once"
            raise UpstreamClosed(f"{text}: {self._origin.host}", sent=False, plain=text)
        self._all.add(connection)
        return connection

    def _connection(self) -> Connection:
        return Connection(self._loop, self)

    async def _wait(self, timeout: float) -> Connection | None:
        turn: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(timeout):
                return await turn
        except BaseException as error:
            self._forgo(turn)
            if isinstance(error, TimeoutError):
                text = "all connections to the upstream are busy"
                raise UpstreamTimeout(f"{text}: {self._origin.host}", plain=text) from None
            raise

    def _forgo(self, turn: asyncio.Future[Connection | None]) -> None:
        """Who waited is gone: what it was just handed belongs to the next."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled():
            freed = turn.result()
            if freed is None:
                self._next(None)
            else:
                self.released(freed)

    def _next(self, connection: Connection | None) -> bool:
        """Hand a connection, or the right to open one, to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def released(self, connection: Connection) -> None:
        connection.keep(self._settings.keep_alive)
        if not (self._waiting and self._next(connection)):
            self._free.append(connection)

    def lost(self, connection: Connection) -> None:
        if connection in self._all:
            self._all.discard(connection)
            if connection in self._free:
                self._free.remove(connection)
            self._next(None)

    def close(self) -> None:
        for connection in tuple(self._all):
            connection.abort()
        for turn in self._waiting:
            turn.cancel()


Origins = dict[str, Connections]
