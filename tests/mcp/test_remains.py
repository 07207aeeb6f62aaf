"""What a call leaves behind."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from typing import Any

from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.server import Server
from gateway.net.client import DEFAULT_TIMEOUTS, READ_LIMIT, Timeouts
from gateway.types import Headers
from tests.mcp.clients import Legacy, Modern
from tests.mcp.servers import text, tool

CALLS = 20


class Whole:
    """An answer that is there at once."""

    ended = False
    arrived = True

    def __init__(self, body: bytes) -> None:
        self.status = 200
        self.headers: Headers = [(b"content-type", b"application/json")]
        self.body = body

    def take(self) -> bytes:
        body, self.body = self.body, b""
        return body

    async def chunk(self) -> bytes:
        return self.take()

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        return await self.chunk()

    def close(self) -> None:
        return None


class Near:
    """A transport to a server of the older era that is no further than this object."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> Whole:
        asked = json.loads(body)
        results: dict[str, Any] = {
            "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}},
            "tools/list": {"tools": [tool("t")]},
            "tools/call": text("done"),
        }
        if asked["method"] not in results:
            error = {"code": -32601, "message": "no such method"}
            return Whole(json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), "error": error}).encode())
        answer = {"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]}
        return Whole(json.dumps(answer).encode())

    async def close(self) -> None:
        return None


async def test_nothing_of_a_call_waits_for_the_collector() -> None:
    app = MCPApp([Server(HttpUpstream("s", "http://near/mcp", client=Near()))])
    for client in (Modern(app), Legacy(app), await Legacy(app).begin()):
        assert (await client.call("t"))["content"][0]["text"] == "done"
        gc.collect()
        gc.disable()
        try:
            for _ in range(CALLS):
                await client.call("t")
            left = gc.collect()
        finally:
            gc.enable()
        assert left < CALLS, type(client)
