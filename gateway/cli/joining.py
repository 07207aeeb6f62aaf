"""A leaner way out of uvicorn: the head of an answer and its first bytes are one system call instead of two,
and a head's lines are checked together instead of one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any

from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.types import App, Headers, Message, Receive, Scope, Send

# Whatever is deleted of a head must be its own line ends: a value cannot begin a line, and nothing invisible goes out.
_CONTROLS = bytes({*range(32), 127} - {9})
_BODYLESS = (204, 304)


class _Done:
    """What there is to await of something that is done: no coroutine is made for it."""

    def __await__(self) -> Generator[Any, Any, None]:
        return _NOTHING  # type: ignore[return-value]  # an iterator is enough


_NOTHING = iter(())
DONE = _Done()


class Joining:
    """The app around all others in uvicorn: `uvicorn.Config(Joining(app))`."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle: RequestResponseCycle = send.__self__  # type: ignore[attr-defined]  # its bound method
        answer = Answer(cycle)
        try:
            await self.app(scope, receive, answer)
        finally:
            answer.flush()


class Answer(Struct, eq=False):
    """The `send` of one request: uvicorn's own, for apps that keep to ASGI (lower-case names, one start, one end).

    A head waits for what is written next. That of a stream waits no longer than this turn of the loop: where it is silent at
    first, it goes out alone. The cycle does not know of it: as a circle they and the whole request would live until a collection.
    """

    _cycle: RequestResponseCycle
    _head: bytes = b""

    def __call__(self, message: Message) -> Awaitable[None]:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            return self._patiently(message)
        if cycle.disconnected:
            return DONE
        if not cycle.response_started:
            self._begin(message["status"], [*cycle.default_headers, *message.get("headers", ())])
        elif cycle.response_complete:
            raise RuntimeError("the answer was complete already")
        else:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        return DONE

    async def _patiently(self, message: Message) -> None:
        await self._cycle.flow.drain()
        await self(message)

    def _begin(self, status: int, headers: Headers) -> None:
        cycle, named = self._cycle, dict(headers)
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        length = named.get(b"content-length")
        cycle.expected_content_length = 0 if length is None else int(length)
        cycle.chunked_encoding = (
            length is None and cycle.scope["method"] != "HEAD" and status not in _BODYLESS
        )
        if b"close" in named.get(b"connection", b"").lower():
            cycle.keep_alive = False
        elif not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        if cycle.chunked_encoding and b"transfer-encoding" not in named:
            headers.append((b"transfer-encoding", b"chunked"))
        self._head = _head(status, headers)
        if cycle.chunked_encoding:  # otherwise its end is in sight
            asyncio.get_running_loop().call_soon(self.flush)

    def _go_on(self, body: bytes, *, more: bool) -> None:
        cycle = self._cycle
        if cycle.scope["method"] == "HEAD":
            cycle.expected_content_length = 0
        elif cycle.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._write(chunk if more else chunk + b"0\r\n\r\n")
        else:
            cycle.expected_content_length -= len(body)
            if cycle.expected_content_length < 0 or (cycle.expected_content_length and not more):
                raise RuntimeError("the answer is not as long as its content-length")
            self._write(body)
        if not more:
            self._complete()

    def _complete(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.flush()
            cycle.transport.close()
        cycle.on_response()

    def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            self._cycle.transport.write(head + data)

    def flush(self) -> None:
        if self._head:
            self._write(b"")


def _head(status: int, headers: Headers) -> bytes:
    head = STATUS_LINE[status] + b"\r\n".join((*map(b": ".join, headers), b"", b""))
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(headers) + 2):
        raise RuntimeError("a header of the answer holds a line break or another control character")
    return head
