"""One request's answer as it arrives: what the connection tells it on one side, `chunk()` on the other."""

from __future__ import annotations

import asyncio
from typing import Protocol

from msgspec import Struct

from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.net.client import READ_LIMIT, Take
from gateway.types import Headers

HIGH_WATER = 256 * 1024  # unread bytes at which the socket is no longer read
RACE_WINDOW = 1.0  # seconds
_FRAMED = (b"content-length", b"transfer-encoding")


class Wire(Protocol):
    """What an exchange needs of the connection that it runs on."""

    loop: asyncio.AbstractEventLoop
    reused: bool
    due: float
    heard: float

    def arm(self, due: float) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def abort(self) -> None: ...


class Exchange(Struct, eq=False):
    """Implements `Response`. The wire is let go the moment the last byte has been parsed, not when it has been read."""

    wire: Wire | None
    idle: float  # seconds between two pieces
    until: float  # the loop's time at which all must be over
    sent_at: float
    no_body: bool
    status: int = 0
    headers: Headers = []
    begun: bool = False  # the head has arrived
    arrived: bool = False  # the last byte has
    head_size: int = 0
    _parts: list[bytes] = []
    _size: int = 0
    _taker: Take | None = None  # is given what comes, while the reader waits
    _paused: bool = False
    _error: UpstreamError | None = None
    _waiter: asyncio.Future[None] | None = None

    # -- what the caller does

    @property
    def ended(self) -> bool:
        return self.arrived and not self._parts

    async def chunk(self) -> bytes:
        while not self._parts:
            if self.arrived:
                return b""
            await self.more(self.idle)
        return self.take()

    async def pour(self, take: Take) -> None:
        if not (self.arrived or self._parts):
            waiter = self.more(self.idle)
            self._taker = take
            await waiter

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        first = await self.chunk()
        if self.arrived and not self._parts and len(first) <= limit:
            return first
        parts, size = [first], len(first)
        while size <= limit:
            part = await self.chunk()
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        self.close()
        raise UpstreamError(f"the upstream's answer is larger than {limit} bytes")

    def close(self) -> None:
        if self.wire is not None:
            self.fail(UpstreamClosed("the answer was closed before its end"))

    def take(self) -> bytes:
        parts = self._parts
        data = b"".join(parts)
        parts.clear()
        self._size = 0
        if self._paused and self.wire is not None:
            self._paused = False
            self.wire.resume()
        return data

    def more(self, patience: float) -> asyncio.Future[None]:
        """Done when something has happened, after `patience` seconds at most."""
        if self._error is not None:
            raise self._error
        wire = self.wire
        assert wire is not None
        loop = wire.loop
        waiter = self._waiter = loop.create_future()
        due = loop.time() + patience
        wire.arm(due if due < self.until else self.until)
        return waiter

    # -- what the connection tells

    def received(self, pieces: list[bytes]) -> None:
        """What one read brought of the body; the list is the wire's own, and is left empty."""
        if not pieces:
            return self.wake()
        data = b"".join(pieces)
        pieces.clear()
        take, wire = self._taker, self.wire
        if take is None or wire is None:  # the last bytes came: the reader ends with them
            return self._hold(data)
        try:
            taken = take(data)
        except Exception as error:  # is for the task that reads this, not for the event loop
            return self.wake(error)
        if not taken:
            return self._hold(data)
        wire.heard = wire.loop.time()

    def _hold(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused and self.wire is not None:
            self._paused = True
            self.wire.pause()
        self.wake()

    def eof(self) -> bool:
        """The upstream says that nothing more comes: whether that is the end of an answer that has no other end. It cuts all
        others."""
        if self.begun and not any(key in _FRAMED for key, _ in self.headers):
            self.arrived = True
        return self.arrived

    def lost(self, error: Exception | None) -> None:
        if self.begun:
            return self.fail(UpstreamClosed("the upstream broke off in the middle of its answer"))
        wire = self.wire
        assert wire is not None
        # A server may close a kept-alive connection in the moment in which it is used again. That shows at once;
        # when it took longer, the server had the request and may have acted upon it.
        unseen = wire.reused and not self.head_size and wire.loop.time() - self.sent_at < RACE_WINDOW
        reason = f": {error}" if error else ""
        self.fail(
            UpstreamClosed(f"the upstream closed the connection without an answer{reason}", sent=not unseen)
        )

    def timed_out(self) -> None:
        wire = self.wire
        if self._taker is not None and wire is not None:  # what was taken since is no silence
            due = min(wire.heard + self.idle, self.until)
            if wire.loop.time() < due:
                return wire.arm(due)
        stage = "between two pieces of its answer" if self.begun else "before its answer"
        self.fail(UpstreamTimeout(f"the upstream was silent for too long {stage}"))

    def fail(self, error: UpstreamError) -> None:
        self._error = error
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.abort()
        self.wake()

    def wake(self, error: Exception | None = None) -> None:
        waiter = self._waiter
        if waiter is None:
            return
        self._waiter = None
        if self._taker is not None:
            self._taker = None
        if self.wire is not None:  # otherwise it may already carry somebody else's exchange
            self.wire.due = NEVER
        if waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    def let_go(self) -> None:
        """The wire is free for the next exchange."""
        wire, self.wire = self.wire, None
        if self._paused and wire is not None:
            self._paused = False
            wire.resume()


NEVER = float("inf")
