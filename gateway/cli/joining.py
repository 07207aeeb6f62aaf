"""uvicorn's HTTP protocol, with a leaner way out: the head of an answer and its first bytes are one system call instead of two,
and a head's lines are checked together instead of one by one."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.cli.patience import PatientProtocol
from gateway.types import Headers, Message

# Whatever is deleted of a head must be its own line ends: a value cannot begin a line, and nothing invisible goes out.
_CONTROLS = bytes({*range(32), 127} - {9})
_BODYLESS = (204, 304)


class JoiningProtocol(PatientProtocol):
    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self.cycle is not None:  # its task has not begun yet
            answer = Answer(self.cycle, self.transport, self.loop)
            self.cycle.send = self.cycle.transport = answer  # type: ignore[assignment]


class Answer:
    """The `send` of one request: uvicorn's own, for apps that keep to ASGI (lower-case names, one start, one end); and as much
    of a transport as uvicorn uses then.

    A head waits for what is written next, but no longer than this turn of the loop: of a stream that is silent at first, it
    goes out alone.
    """

    __slots__ = ("_cycle", "_head", "_loop", "_transport", "is_closing")

    def __init__(
        self, cycle: RequestResponseCycle, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cycle = cycle
        self._transport = transport
        self.is_closing = transport.is_closing
        self._loop = loop
        self._head = b""

    async def __call__(self, message: Message) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if not cycle.response_started:
            self._begin(message["status"], [*cycle.default_headers, *message.get("headers", ())])
        elif cycle.response_complete:
            raise RuntimeError("the answer was complete already")
        else:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))

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
        self._loop.call_soon(self._flush)

    def _go_on(self, body: bytes, *, more: bool) -> None:
        cycle = self._cycle
        if cycle.scope["method"] == "HEAD":
            cycle.expected_content_length = 0
        elif cycle.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.write(chunk if more else chunk + b"0\r\n\r\n")
        else:
            cycle.expected_content_length -= len(body)
            if cycle.expected_content_length < 0 or (cycle.expected_content_length and not more):
                raise RuntimeError("the answer is not as long as its content-length")
            self.write(body)
        if not more:
            self._complete()

    def _complete(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.close()
        del cycle.send  # they refer to each other: the circle would live until a collection
        cycle.transport = self._transport
        cycle.on_response()

    def write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            self._transport.write(head + data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            self.write(b"")


def _head(status: int, headers: Headers) -> bytes:
    lines = [STATUS_LINE[status]]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    head = b"".join(lines)
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(headers) + 2):
        raise RuntimeError("a header of the answer holds a line break or another control character")
    return head
