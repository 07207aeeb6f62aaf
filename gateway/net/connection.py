"""A kept-alive connection: it carries one exchange at a time, has one parser for all of them, and one lazy timer."""

from __future__ import annotations

import asyncio
from typing import Protocol

import httptools

from gateway.errors import UpstreamError
from gateway.net.client import Timeouts, values
from gateway.net.exchange import NEVER, Exchange
from gateway.net.outbox import outbox

TICK = 5.0
HEAD_LIMIT = 64 * 1024


class Home(Protocol):
    """Where a connection goes when it is free, and is missed when it is gone."""

    def released(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """The timer fires at least every `TICK` seconds and looks at the deadline, so that moving a deadline, which happens
    for every piece of every answer, is one assignment and no work for the event loop."""

    __slots__ = (
        "_fires",
        "_found",
        "_keep",
        "_outbox",
        "_parser",
        "_timer",
        "due",
        "exchange",
        "heard",
        "home",
        "loop",
        "on_body",
        "reused",
        "transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, home: Home) -> None:
        self.loop = loop
        self.home = home
        self._outbox = outbox(loop)
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anyone can see it
        self.exchange: Exchange | None = None
        self.reused = False
        self._found: list[bytes] = []  # of a body, in the bytes that are being parsed
        self.on_body = self._found.append  # the parser's way to tell: no frame of Python for each piece
        self._keep = False  # the answer leaves the connection fit for another one
        self._parser: httptools.HttpResponseParser | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.due = self._fires = NEVER
        self.heard = 0.0  # when a piece was last handed on without a task

    def ask(self, parts: tuple[bytes, ...], timeouts: Timeouts, *, no_body: bool) -> Exchange:
        now = self.loop.time()
        exchange = Exchange(self, timeouts.idle, now + timeouts.total, now, no_body)
        transport = self.transport
        if transport.is_closing():  # it broke in the moment in which it was handed over
            exchange.lost(None)
            return exchange
        self.exchange = exchange
        if len(parts) == 1:
            self._outbox.write(self.loop, transport, parts[0])
        else:  # too large to be held twice
            for part in parts:
                transport.write(part)
        return exchange

    def keep(self, seconds: float) -> None:
        """Wait for the next request, for so long."""
        self.reused = True
        self.arm(self.loop.time() + seconds)

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        exchange, parser = self.exchange, self._parser
        if exchange is None or parser is None or self.transport in self._outbox.waiting:
            return self.transport.abort()  # nobody has asked for that: what follows cannot be trusted
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not exchange.arrived:
                exchange.received(self._found)
                return exchange.fail(UpstreamError(f"the upstream's answer is not valid HTTP: {error}"))
            self._keep = False
        if exchange.arrived:
            self._finish(exchange, reusable=self._keep)
        elif not exchange.begun:
            exchange.head_size += len(data)
            if exchange.head_size > HEAD_LIMIT:
                exchange.fail(UpstreamError("the upstream's headers are too large"))
            return
        exchange.received(self._found)

    def eof_received(self) -> bool:
        exchange = self.exchange
        if exchange is not None and exchange.eof():
            self._finish(exchange, reusable=False)
            exchange.wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self._parser = None  # it refers to this connection: the circle would live until a collection
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.lost(exc)
        self.home.lost(self)

    # -- what the parser finds

    def on_message_begin(self) -> None:
        if self.exchange is None or self.exchange.arrived:
            raise ValueError("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self.exchange
        if exchange is not None and not exchange.begun:  # otherwise a trailer: nobody has asked for any
            exchange.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        exchange, parser = self.exchange, self._parser
        if exchange is None or parser is None:
            return
        exchange.status = parser.get_status_code()
        if exchange.status < 200:
            return
        for coding in values(exchange.headers, b"transfer-encoding"):
            if coding.lower() != b"chunked":
                raise ValueError("a transfer coding that was not asked for")
        exchange.begun = True
        if exchange.no_body:
            self._keep, exchange.arrived = False, True

    def on_message_complete(self) -> None:
        exchange, parser = self.exchange, self._parser
        if exchange is None or parser is None:
            return
        if exchange.status < 200:  # 100 Continue, 103 Early Hints: the answer itself follows
            exchange.headers = []
            return
        self._keep, exchange.arrived = parser.should_keep_alive() and not exchange.no_body, True

    # -- the wire under an exchange

    def pause(self) -> None:
        self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _finish(self, exchange: Exchange, *, reusable: bool) -> None:
        exchange.let_go()
        self.exchange = None
        # An answer that came before the request was fully sent leaves the rest of it in the way of the next one.
        if reusable and not self.transport.is_closing() and self.transport.get_write_buffer_size() == 0:
            self.home.released(self)
        else:
            self.abort()

    def abort(self) -> None:
        self.exchange = None
        self._cancel()
        self.transport.abort()

    # -- the timer

    def arm(self, due: float) -> None:
        self.due = due
        if self._timer is None or due < self._fires:
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = min(self.due, self.loop.time() + TICK)
        self._timer = self.loop.call_at(self._fires, self._tick)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.due = NEVER

    def _tick(self) -> None:
        self._timer = None
        if self.due == NEVER:
            return
        if self.loop.time() < self.due:
            self._schedule()
        elif self.exchange is not None:
            self.exchange.timed_out()
        else:
            self.abort()
