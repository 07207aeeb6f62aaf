"""One request that uvicorn's parser has read, and its answer: uvicorn's own cycle for apps that keep to ASGI (lower-case
names, one start, one end), made of fewer objects and of coroutines only where there is something to wait for.

The head of an answer and its first bytes are one system call instead of two, and a head's lines are checked together.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Generator
from typing import Any, Protocol

from msgspec import Struct
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from gateway.answer import Sink
from gateway.net.outbox import Outbox
from gateway.types import App, Headers, Message, Scope

log = logging.getLogger("uvicorn.error")
# Whatever is deleted of a head must be its own line ends: a value cannot begin a line, and nothing invisible goes out.
_CONTROLS = bytes({*range(32), 127} - {9})
_BODYLESS = (204, 304)
_FAILED: Message = {
    "type": "http.response.start",
    "status": 500,
    "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21"), (b"connection", b"close")],
}  # fmt: skip


class _Done:
    """What there is to await of something that is done: no coroutine is made for it."""

    def __await__(self) -> Generator[Any, Any, None]:
        return _NOTHING  # type: ignore[return-value]  # an iterator is enough


_NOTHING = iter(())
DONE = _Done()


class Connection(Protocol):
    """What a cycle needs of the connection that it came by."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState
    outbox: Outbox

    def on_response_complete(self) -> None: ...


class Cycle(Struct, eq=False):
    """Its connection forgets it with the next request or when it is lost: no circle is left to a collection."""

    connection: Connection
    scope: Scope
    keep_alive: bool
    expects: bool  # the client waits for 100 Continue before it sends its body
    body: bytes | bytearray = b""  # what the app has not heard yet
    more_body: bool = True
    news: bool = False  # it has something to hear
    disconnected: bool = False
    response_started: bool = False
    response_complete: bool = False
    _chunked: bool = False
    _endless: bool = False  # HTTP/1.0 knows no chunks: the connection's end is the body's
    _left: int = 0  # bytes that the answer still owes
    _head: bytes = b""  # waits for what is written next
    _event: asyncio.Event | None = None
    task: asyncio.Task[None] | None = None

    async def run(self, app: App) -> None:
        connection = self.connection
        try:
            await app(self.scope, self.receive, self.send)
            self.flush()
            if not (self.response_complete or self.disconnected):
                what = "completing" if self.response_started else "starting"
                log.error("ASGI callable returned without %s its response.", what)
                await self._broken()
        except BaseException as error:
            log.error("Exception in ASGI application\n", exc_info=error)
            await self._broken()
        finally:
            assert self.task is not None
            connection.server_state.tasks.discard(self.task)
            self.task = None

    async def _broken(self) -> None:
        """An answer that has begun must not look whole; one that was complete before stays as it is."""
        if self.response_complete:
            return
        transport = self.connection.transport
        if self._endless and not transport.is_closing():
            _reset(transport)
        elif self.response_started:
            self.flush()
            transport.close()
        else:
            await self.send(dict(_FAILED))
            await self.send({"type": "http.response.body", "body": b"Internal Server Error"})

    # -- what the client says

    def hear(self, data: bytes) -> None:
        if type(self.body) is bytearray:
            self.body += data
        else:  # most come in one piece
            self.body = bytearray(self.body + data) if self.body else data
        self.wake()

    def wake(self) -> None:
        self.news = True
        if self._event is not None:
            self._event.set()

    def lost(self) -> None:
        if not self.response_complete:
            self.disconnected = True
        self.wake()

    def receive(self) -> Awaitable[Message]:
        connection = self.connection
        if self.expects and not connection.transport.is_closing():
            self.expects = False
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not (self.news or self.disconnected or self.response_complete):
            return self._later()
        told: asyncio.Future[Message] = connection.loop.create_future()
        told.set_result(self._message())
        return told

    async def _later(self) -> Message:
        self.connection.flow.resume_reading()
        event = self._event = self._event or asyncio.Event()
        while not (self.news or self.disconnected or self.response_complete):
            event.clear()  # it may still be set for something that was told without waiting
            await event.wait()
        return self._message()

    def _message(self) -> Message:
        self.news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        self.connection.flow.resume_reading()
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    # -- what the app says

    def send(self, message: Message) -> Awaitable[None]:
        if self.disconnected:
            return DONE
        if self.connection.flow.write_paused:
            return self._patiently(message)
        if not self.response_started:
            self._begin(
                message["status"],
                [*self.connection.server_state.default_headers, *message.get("headers", ())],
            )
        elif self.response_complete:
            raise RuntimeError("the answer was complete already")
        else:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        return DONE

    def sink(self) -> Sink | None:
        if not self._chunked:
            return None
        self.flush()
        flow, write = self.connection.flow, self.connection.transport.write

        def take(piece: bytes) -> bool:
            if flow.write_paused or self.disconnected or self.response_complete or not piece:
                return False
            write(b"%x\r\n%b\r\n" % (len(piece), piece))
            return True

        return Sink(take, _unheard)

    async def _patiently(self, message: Message) -> None:
        await self.connection.flow.drain()
        await self.send(message)

    def _begin(self, status: int, headers: Headers) -> None:
        named = dict(headers)
        if self.expects and self.more_body:
            self.keep_alive = False  # nobody knows whether that body still comes, and what follows it
        self.response_started, self.expects = True, False
        length = named.get(b"content-length")
        if length is not None:
            self._left = int(length)
        elif self.scope["method"] != "HEAD" and status not in _BODYLESS:
            if self.scope["http_version"] == "1.0":
                self._endless = True
            else:
                self._chunked = True
                if b"transfer-encoding" not in named:
                    headers.append((b"transfer-encoding", b"chunked"))
        if b"close" in named.get(b"connection", b"").lower():
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        self._head = _head(status, headers)
        if self._chunked:  # its end is not in sight: where it is silent at first, the head goes out alone
            self.connection.loop.call_soon(self.flush)

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.flush()  # nothing follows that would take it along, and the next request's answer must not come first
        elif self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._write(chunk if more else chunk + b"0\r\n\r\n")
        elif self._endless:
            self._write(body)
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer is not as long as its content-length")
            self._write(body, last=self.keep_alive and not more)
        if not more:
            self._complete()

    def _complete(self) -> None:
        connection = self.connection
        self.response_complete = True
        self.wake()
        if not self.keep_alive:
            self.flush()
            connection.transport.close()
        connection.on_response_complete()

    def _write(self, data: bytes, *, last: bool = False) -> None:
        """The last of an answer on a connection that goes on leaves together with those of other requests."""
        connection, head, self._head = self.connection, self._head, b""
        if last:
            connection.outbox.write(connection.loop, connection.transport, head + data)
        else:
            connection.transport.write(head + data)

    def flush(self) -> None:
        if self._head:
            self._write(b"")


def _reset(transport: asyncio.Transport) -> None:
    """Where the connection's end is the body's, nothing else says that this one is none. nginx asks with HTTP/1.0."""
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()


def _head(status: int, headers: Headers) -> bytes:
    head = STATUS_LINE[status] + b"\r\n".join((*map(b": ".join, headers), b"", b""))
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(headers) + 2):
        raise RuntimeError("a header of the answer holds a line break or another control character")
    return head


def _unheard(data: bytes) -> None:
    """The wire has no use for it."""
