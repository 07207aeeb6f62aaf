"""A kept-alive connection: it carries one exchange at a time and has one lazy timer."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Protocol

from gateway.net.exchange import Exchange

TICK = 5.0


class Home(Protocol):
    """Where a connection goes when it is free, and is missed when it is gone."""

    def released(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """The timer fires at least every `TICK` seconds and looks at the deadline, so that moving a deadline, which happens
    for every piece of every answer, is one assignment and no work for the event loop."""

    __slots__ = ("_due", "_fires", "_timer", "exchange", "home", "loop", "reused", "transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, home: Home) -> None:
        self.loop = loop
        self.home = home
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set before anyone can see it
        self.exchange: Exchange | None = None
        self.reused = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._fires = inf

    def start(self, exchange: Exchange, parts: tuple[bytes, ...]) -> None:
        if self.transport.is_closing():  # it broke in the moment in which it was handed over
            return exchange.lost(None)
        self.exchange = exchange
        for part in parts:
            self.transport.write(part)

    def keep(self, seconds: float) -> None:
        """Wait for the next request, for so long."""
        self.reused = True
        self.arm(self.loop.time() + seconds)

    @property
    def usable(self) -> bool:
        return not self.transport.is_closing() and self.loop.time() < self._due

    # -- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.exchange is None:  # bytes that nobody has asked for: what follows cannot be trusted
            self.transport.abort()
        else:
            self.exchange.feed(data)

    def eof_received(self) -> bool:
        if self.exchange is not None:
            self.exchange.eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.lost(exc)
        self.home.lost(self)

    # -- the wire under an exchange

    def pause(self) -> None:
        self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def finish(self, *, reusable: bool) -> None:
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
        self._due = due
        if self._timer is None or due < self._fires:
            self._schedule()

    def disarm(self) -> None:
        self._due = inf

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = min(self._due, self.loop.time() + TICK)
        self._timer = self.loop.call_at(self._fires, self._tick)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = inf

    def _tick(self) -> None:
        self._timer = None
        if self._due == inf:
            return
        if self.loop.time() < self._due:
            self._schedule()
        elif self.exchange is not None:
            self.exchange.timed_out()
        else:
            self.abort()
