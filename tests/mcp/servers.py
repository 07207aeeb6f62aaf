"""An MCP server for tests, scripted: it speaks the eras that it is told to, and records what it was asked."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from gateway.types import App, Receive, Scope, Send

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """The app on a loopback port."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([listening]))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        server.force_exit = True
        await running


@dataclass
class Asked:
    """One request that reached the server."""

    message: dict[str, Any]
    headers: dict[str, str]
    body: bytes
    notify: Callable[..., Awaitable[None]]
    ask: Callable[..., Awaitable[dict[str, Any]]]
    session: str = ""

    @property
    def params(self) -> dict[str, Any]:
        return self.message.get("params") or {}


Tool = Callable[[Asked], Awaitable[Any]]


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": f"does {name}", "inputSchema": {"type": "object"}, **more}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}], **more}


@dataclass
class Scripted:
    """`tools` are definitions; `run` says what a tool does, an echo of its arguments where it is not named."""

    tools: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Tool] = field(default_factory=dict)
    methods: dict[str, Tool] = field(default_factory=dict)
    modern: bool = True
    legacy: bool = True
    sessions: bool = True
    page: int = 0
    ttl: int | None = None
    capabilities: dict[str, Any] = field(
        default_factory=lambda: {"tools": {"listChanged": True}, "logging": {}}
    )
    name: str = "scripted"
    asked: list[Asked] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    streams: list[Callable[..., Awaitable[None]]] = field(default_factory=list)
    streaming: asyncio.Event = field(default_factory=asyncio.Event)
    reply_to: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    counter: int = 0

    def calls(self, method: str = "tools/call") -> list[Asked]:
        return [each for each in self.asked if each.message["method"] == method]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {k.decode(): v.decode("latin-1") for k, v in scope["headers"]}
        if scope["method"] == "GET":
            await self._get(headers, receive, send)
            return
        if scope["method"] == "DELETE":
            self.open.discard(headers.get("mcp-session-id", ""))
            await _plain(send, 200)
            return
        body = b""
        more = True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        await self._post(json.loads(body), body, headers, receive, send)

    async def _post(
        self, message: dict[str, Any], body: bytes, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        if "method" not in message:
            self.reply_to.pop(str(message["id"])).set_result(message)
            await _plain(send, 202)
            return
        modern = headers.get("mcp-protocol-version") == MODERN
        session = headers.get("mcp-session-id", "")
        refused = self._refused(message, modern, session)
        if refused:
            await _plain(send, refused, b"no")
            return
        if "id" not in message:
            self.told.append(message)
            await _plain(send, 202)
            return
        await self._answer(message, body, headers, receive, send, session)

    def _refused(self, message: dict[str, Any], modern: bool, session: str) -> int:
        if modern:
            return 0 if self.modern else 400
        if not self.legacy:
            return 400
        if self.sessions and message["method"] != "initialize" and session not in self.open:
            return 404 if session else 400
        return 0

    async def _answer(
        self,
        message: dict[str, Any],
        body: bytes,
        headers: dict[str, str],
        receive: Receive,
        send: Send,
        session: str,
    ) -> None:
        started = False

        async def event(data: dict[str, Any]) -> None:
            nonlocal started
            if not started:
                started = True
                head = [(b"content-type", b"text/event-stream")]
                await send({"type": "http.response.start", "status": 200, "headers": head})
            chunk = b"data: " + json.dumps(data).encode() + b"\n\n"
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

        async def notify(method: str, params: dict[str, Any]) -> None:
            await event({"jsonrpc": "2.0", "method": method, "params": params})

        async def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
            self.counter += 1
            ident = f"srv-{self.counter}"
            self.reply_to[ident] = asyncio.get_running_loop().create_future()
            await event({"jsonrpc": "2.0", "id": ident, "method": method, "params": params})
            return await self.reply_to[ident]

        asked = Asked(message, headers, body, notify, ask, session)
        self.asked.append(asked)
        working = asyncio.ensure_future(self._result(asked))
        leaving = asyncio.ensure_future(_disconnected(receive))
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not working.done():
            working.cancel()
            self.gone.set()
            return
        answer = {"jsonrpc": "2.0", "id": message["id"], **working.result()}
        if started:
            await event(answer)
            await send({"type": "http.response.body", "body": b""})
            return
        more = []
        if message["method"] == "initialize" and self.sessions:
            self.counter += 1
            self.open.add(f"{self.name}-{self.counter}")
            more = [(b"mcp-session-id", f"{self.name}-{self.counter}".encode())]
        await _plain(send, 200, json.dumps(answer).encode(), more)

    async def _result(self, asked: Asked) -> dict[str, Any]:
        method = asked.message["method"]
        if method in self.methods:
            result = await self.methods[method](asked)
        elif method == "tools/call":
            result = await self.run.get(asked.params["name"], _echo)(asked)
        else:
            result = self._known(method, asked.params)
        if result is None:
            return {"error": {"code": -32601, "message": "Method not found"}}
        if "error" in result and len(result) == 1:
            return result
        modern = asked.headers.get("mcp-protocol-version") == MODERN
        return {"result": {"resultType": "complete", **result} if modern else result}

    def _known(self, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        if method == "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": self.capabilities,
                "serverInfo": {"name": self.name, "version": "1"},
            }
        if method == "server/discover":
            return {"supportedVersions": [MODERN], "capabilities": self.capabilities}
        if method == "tools/list":
            start = int(params.get("cursor", "0"))
            end = start + self.page if self.page else len(self.tools)
            result: dict[str, Any] = {"tools": self.tools[start:end]}
            if end < len(self.tools):
                result["nextCursor"] = str(end)
            if self.ttl is not None:
                result["ttlMs"] = self.ttl
            return result
        return {} if method in {"ping", "logging/setLevel"} else None

    async def _get(self, headers: dict[str, str], receive: Receive, send: Send) -> None:
        if headers.get("mcp-session-id") not in self.open:
            await _plain(send, 405)
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        await send({"type": "http.response.body", "body": b": hello\n\n", "more_body": True})

        async def notify(method: str, params: dict[str, Any] | None = None) -> None:
            data = json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode()
            await send({"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True})

        self.streams.append(notify)
        self.streaming.set()
        await _disconnected(receive)
        self.streams.remove(notify)


async def _echo(asked: Asked) -> dict[str, Any]:
    return text(json.dumps(asked.params.get("arguments")))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _plain(
    send: Send, status: int, body: bytes = b"", more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *more]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
