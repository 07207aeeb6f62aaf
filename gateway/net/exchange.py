"""One request's answer as it arrives: the parser's callbacks on one side, `chunk()` on the other."""

from __future__ import annotations

import asyncio
from typing import Protocol, Self

import httptools

from gateway.errors import UpstreamClosed, UpstreamError, UpstreamTimeout
from gateway.net.client import READ_LIMIT, Timeouts, values
from gateway.types import Headers

HIGH_WATER = 256 * 1024  # unread bytes at which the socket is no longer read
HEAD_LIMIT = 64 * 1024
RACE_WINDOW = 1.0  # seconds


class Wire(Protocol):
    """What an exchange needs of the connection that it runs on."""

    loop: asyncio.AbstractEventLoop
    reused: bool

    def arm(self, due: float) -> None: ...
    def disarm(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def finish(self, *, reusable: bool) -> None: ...
    def abort(self) -> None: ...


class Exchange:
    """Implements `Response`. The wire is let go the moment the last byte has been parsed, not when it has been read."""

    status = 0
    _error: UpstreamError | None = None
    _waiter: asyncio.Future[None] | None = None
    _size = _head_size = 0
    _complete = _in_body = _paused = _garbage = _keep = False

    def __init__(self, wire: Wire, timeouts: Timeouts, *, no_body: bool) -> None:
        self.headers: Headers = []
        self._wire: Wire | None = wire
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._no_body = no_body
        self._sent_at = wire.loop.time()
        self._idle = timeouts.idle
        self._until = self._sent_at + timeouts.total

    # -- what the caller does

    @property
    def ended(self) -> bool:
        return self._complete and not self._parts

    async def begun(self, patience: float) -> Self:
        """Itself, when the head has arrived."""
        try:
            while not self._in_body:
                await self._more(patience)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def arrived(self) -> bool:
        return self._complete

    async def chunk(self) -> bytes:
        while not self._parts:
            if self._complete:
                return b""
            await self._more(self._idle)
        return self._take()

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        first = await self.chunk()
        if self._complete and not self._parts and len(first) <= limit:
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
        if self._wire is not None:
            self._fail(UpstreamClosed("the answer was closed before its end"))

    def _take(self) -> bytes:
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._size = 0
        if self._paused and self._wire is not None:
            self._paused = False
            self._wire.resume()
        return data

    def _more(self, patience: float) -> asyncio.Future[None]:
        """Done when something has happened, after `patience` seconds at most."""
        if self._error is not None:
            raise self._error
        wire = self._wire
        assert wire is not None
        loop = wire.loop
        waiter = self._waiter = loop.create_future()
        due = loop.time() + patience
        wire.arm(due if due < self._until else self._until)
        return waiter

    # -- what the connection tells

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                return self._fail(UpstreamError(f"the upstream's answer is not valid HTTP: {error}"))
            self._garbage = True
        if self._complete:
            self._end(reusable=self._keep and not self._garbage)
        elif not self._in_body:
            self._head_size += len(data)
            if self._head_size > HEAD_LIMIT:
                self._fail(UpstreamError("the upstream's headers are too large"))
            return
        self._wake()

    def eof(self) -> None:
        """The upstream says that nothing more comes: the end of an answer that has no other end, a cut for all others."""
        if self._in_body and not any(key in _FRAMED for key, _ in self.headers):
            self._complete = True
            self._end(reusable=False)
            self._wake()

    def lost(self, error: Exception | None) -> None:
        if self._in_body:
            return self._fail(UpstreamClosed("the upstream broke off in the middle of its answer"))
        wire = self._wire
        assert wire is not None
        # A server may close a kept-alive connection in the moment in which it is used again. That shows at once;
        # when it took longer, the server had the request and may have acted upon it.
        unseen = wire.reused and not self._head_size and wire.loop.time() - self._sent_at < RACE_WINDOW
        reason = f": {error}" if error else ""
        self._fail(
            UpstreamClosed(f"the upstream closed the connection without an answer{reason}", sent=not unseen)
        )

    def timed_out(self) -> None:
        stage = "between two pieces of its answer" if self._in_body else "before its answer"
        self._fail(UpstreamTimeout(f"the upstream was silent for too long {stage}"))

    # -- what the parser finds

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # otherwise a trailer: nobody has asked for any
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        if any(each.lower() != b"chunked" for each in values(self.headers, b"transfer-encoding")):
            raise ValueError("a transfer coding that was not asked for")
        self._in_body = True
        if self._no_body:
            self._complete = True

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused and self._wire is not None:
            self._paused = True
            self._wire.pause()

    def on_message_complete(self) -> None:
        if self.status < 200:  # 100 Continue, 103 Early Hints: the answer itself follows
            self.headers = []
            return
        self._complete = True
        self._keep = self._parser.should_keep_alive() and not self._no_body

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            return
        if self._wire is not None:  # otherwise it may already carry somebody else's exchange
            self._wire.disarm()
        if not waiter.done():
            waiter.set_result(None)

    def _end(self, *, reusable: bool) -> None:
        wire = self._let_go()
        if wire is None:
            return
        if self._paused:
            self._paused = False
            wire.resume()
        wire.finish(reusable=reusable)

    def _fail(self, error: UpstreamError) -> None:
        self._error = error
        wire = self._let_go()
        if wire is not None:
            wire.abort()
        self._wake()

    def _let_go(self) -> Wire | None:
        wire, self._wire = self._wire, None
        if wire is not None:
            del self._parser  # it refers to this exchange: the circle would live until a collection
        return wire


_FRAMED = (b"content-length", b"transfer-encoding")
