"""Clients of both eras, driven straight into the app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from gateway.call import Call
from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.server import Server
from gateway.net.pool import Pool
from gateway.types import App
from tests.driver import Driver, Reply
from tests.mcp.servers import MODERN, Scripted, served

ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
META = "io.modelcontextprotocol/"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def events(reply: Reply) -> list[dict[str, Any]]:
    """The messages of an event stream."""
    lines = reply.body.decode().split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line != "data: "]


def answer(reply: Reply) -> dict[str, Any]:
    """The JSON-RPC answer, however it came."""
    if reply.headers.get("content-type") == "text/event-stream":
        found: dict[str, Any] = next(each for each in events(reply) if "method" not in each)
        return found
    return dict(reply.json)


class Modern:
    """A client of 2026-07-28."""

    def __init__(
        self, app: App, *, capabilities: Mapping[str, Any] | None = None, prepare: Any = None
    ) -> None:
        self.app = app
        self.capabilities = capabilities or {}
        self.prepare = prepare
        self.counter = 0

    async def send(self, method: str, params: Mapping[str, Any] | None = None, **options: Any) -> Reply:
        self.counter += 1
        given = dict(params or {})
        meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": self.capabilities}
        given["_meta"] = {**meta, **given.get("_meta", {})}
        headers = {**ACCEPT, "mcp-protocol-version": MODERN, "mcp-method": method}
        if method in NAMED:
            headers["mcp-name"] = str(given.get(NAMED[method]))
        headers |= options.pop("headers", {})
        body = {"jsonrpc": "2.0", "id": options.pop("id", self.counter), "method": method, "params": given}
        return await Driver(prepared(self.app, self.prepare)).post("/mcp", body, headers=headers, **options)

    async def ask(
        self, method: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        return answer(await self.send(method, params, **options))

    async def call(self, name: str, arguments: Any = None, **options: Any) -> dict[str, Any]:
        params = {"name": name, "arguments": arguments or {}}
        result: dict[str, Any] = (await self.ask("tools/call", params, **options))["result"]
        return result

    async def tools(self) -> list[str]:
        return [each["name"] for each in (await self.ask("tools/list"))["result"]["tools"]]


class Legacy:
    """A client with a session."""

    def __init__(
        self,
        app: App,
        *,
        capabilities: Mapping[str, Any] | None = None,
        version: str = "2025-11-25",
        prepare: Any = None,
    ) -> None:
        self.app = app
        self.capabilities = capabilities or {}
        self.version = version
        self.session = ""
        self.prepare = prepare
        self.counter = 0

    async def begin(self) -> Legacy:
        params = {
            "protocolVersion": self.version,
            "capabilities": self.capabilities,
            "clientInfo": {"name": "test", "version": "1"},
        }
        reply = await self.send("initialize", params)
        self.session = reply.headers["mcp-session-id"]
        await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    async def post(self, body: Any, **options: Any) -> Reply:
        headers = {
            **ACCEPT,
            **(
                {"mcp-session-id": self.session, "mcp-protocol-version": self.version} if self.session else {}
            ),
        }
        headers |= options.pop("headers", {})
        return await Driver(prepared(self.app, self.prepare)).post("/mcp", body, headers=headers, **options)

    async def get(self, **options: Any) -> Reply:
        headers = {
            "accept": "text/event-stream",
            "mcp-session-id": self.session,
            **options.pop("headers", {}),
        }
        return await Driver(prepared(self.app, self.prepare)).get("/mcp", headers=headers, **options)

    async def delete(self) -> Reply:
        headers = {"mcp-session-id": self.session}
        return await Driver(prepared(self.app, self.prepare)).request("DELETE", "/mcp", headers=headers)

    async def send(self, method: str, params: Any = None, **options: Any) -> Reply:
        self.counter += 1
        body = {"jsonrpc": "2.0", "id": options.pop("id", self.counter), "method": method}
        if params is not None:
            body["params"] = params
        return await self.post(body, **options)

    async def ask(self, method: str, params: Any = None, **options: Any) -> dict[str, Any]:
        return answer(await self.send(method, params, **options))

    async def call(self, name: str, arguments: Any = None, **options: Any) -> dict[str, Any]:
        found = await self.ask("tools/call", {"name": name, "arguments": arguments or {}}, **options)
        result: dict[str, Any] = found["result"]
        return result

    async def tools(self) -> list[str]:
        return [each["name"] for each in (await self.ask("tools/list"))["result"]["tools"]]


def prepared(app: App, prepare: Callable[[Call], None] | None) -> App:
    """What the middlewares in front of the app would have put on the call."""
    if prepare is None:
        return app

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        prepare(Call.of(scope))
        await app(scope, receive, send)

    return outer


@asynccontextmanager
async def federation(
    servers: Mapping[str, Scripted], *, options: Mapping[str, Mapping[str, Any]] | None = None, **app: Any
) -> AsyncIterator[MCPApp]:
    """The servers on loopback behind one app; `options` go to each server's `Server`, or to its upstream (`timeout`)."""
    async with AsyncExitStack() as stack:
        pool = Pool(proxies=None)
        made = []
        for name, server in servers.items():
            given = dict((options or {}).get(name, {}))
            url = await stack.enter_async_context(served(server))
            upstream = HttpUpstream(
                name, url, client=pool, timeout=given.pop("timeout", 5.0), auth=given.pop("auth", None)
            )
            made.append(Server(upstream, **given))
        try:
            yield MCPApp(made, **app)
        finally:
            await pool.close()


async def eventually(true: Callable[[], object]) -> None:
    """Waits for what happens in another task, for two seconds at most."""
    for _ in range(400):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")
