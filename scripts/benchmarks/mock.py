"""The upstream of every measurement: the models' APIs and MCP on one port.

mock.py PORT PACE  (PACE: milliseconds between two events of a stream; 0 sends them back to back)
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator

import httptools
import samples
import uvloop

PACE = float(sys.argv[2]) / 1000
_SSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_END = b"0\r\n\r\n"


def answer(value: object, status: bytes = b"200 OK") -> bytes:
    body = json.dumps(value).encode() if value is not None else b""
    return (
        b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        + body
    )


def chunks(events: list[bytes]) -> list[bytes]:
    return [b"%x\r\n%s\r\n" % (len(event), event) for event in events]


_WHOLE = {"chat": answer(samples.COMPLETION), "messages": answer(samples.MESSAGE)}
_STREAMS = {
    "chat": chunks(samples.chat_events()),
    "messages": chunks(samples.messages_events()),
    "responses": chunks(samples.responses_events()),
    "gemini": chunks(samples.gemini_events()),
}


def wire_of(url: bytes) -> str:
    for mark, name in (
        (b"chat/completions", "chat"),
        (b"/responses", "responses"),
        (b"enerateContent", "gemini"),
    ):
        if mark in url:
            return name
    return "messages"


class Mock(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.parser = httptools.HttpRequestParser(self)
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url, self.body = b"", []  # type: ignore[var-annotated]

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self.body)
        if b"/mcp" in self.url:
            return self.transport.write(tool(self.parser.get_method(), body))
        wire = wire_of(self.url)
        if wire != "gemini" and b'"stream": true' not in body and b'"stream":true' not in body:
            return self.transport.write(_WHOLE[wire])
        if not PACE:
            return self.transport.write(_SSE + b"".join(_STREAMS[wire]) + _END)
        self.transport.write(_SSE)
        self.next(iter(_STREAMS[wire]))

    def next(self, left: Iterator[bytes]) -> None:
        event = next(left, None)
        if event is None:
            self.timer = None
            return self.transport.write(_END)
        self.transport.write(event)
        self.timer = asyncio.get_running_loop().call_later(PACE, self.next, left)


def tool(method: bytes, body: bytes) -> bytes:
    if method != b"POST":
        return answer(None, b"405 Method Not Allowed")
    asked = json.loads(body)
    if "id" not in asked:
        return answer(None, b"202 Accepted")
    results = {
        "tools/call": samples.TOOL_RESULT,
        "tools/list": {"tools": samples.TOOLS},
        "ping": {},
        "initialize": {
            "protocolVersion": (asked.get("params") or {}).get("protocolVersion", "2025-06-18"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "mock", "version": "1"},
        },
    }
    if asked["method"] not in results:
        return answer(
            {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32601, "message": "no such method"}}
        )
    return answer({"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]})


async def main() -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(Mock, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await asyncio.Event().wait()


uvloop.run(main())
