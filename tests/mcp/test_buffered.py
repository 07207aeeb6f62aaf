"""Where responses are buffered (Lambda), and where an operator stops what runs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from mangum import Mangum

from gateway.call import Call
from gateway.demo import math
from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.server import Server
from gateway.net.pool import Pool
from gateway.refusals import forbidden
from tests.mcp.clients import ACCEPT, META, Legacy, Modern, eventually, federation
from tests.mcp.servers import MODERN, Asked, Scripted, served, text, tool


def event(body: Any, **headers: str) -> dict[str, Any]:
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": "/mcp", "rawQueryString": "", "isBase64Encoded": False,
        "headers": {**ACCEPT, "host": "x.lambda-url.eu-west-1.on.aws", **headers},
        "requestContext": {"http": {"method": "POST", "path": "/mcp", "sourceIp": "1.2.3.4"}},
        "body": json.dumps(body),
    }  # fmt: skip


async def test_under_mangum_both_eras_work_on_any_instance() -> None:
    key = b"k" * 32
    progress = Scripted([tool("p")], run={"p": _progressing})
    async with served(math.app()) as url, served(progress) as other:

        def post(body: Any, **headers: str) -> Any:
            """One instance, with a loop of its own, that serves one request and goes."""
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            pool = Pool()
            servers = [
                Server(HttpUpstream(name, at, client=pool)) for name, at in (("math", url), ("p", other))
            ]
            handler = Mangum(MCPApp(servers, seal_key=key, streaming=False), lifespan="off")
            try:
                return handler(event(body, **headers), {})  # type: ignore[arg-type]
            finally:
                loop.run_until_complete(pool.close())
                loop.run_until_complete(asyncio.sleep(0))
                loop.close()

        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "x", "version": "1"},
        }
        began = await asyncio.to_thread(
            post, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        )
        assert "listChanged" not in began["body"]
        session = {"mcp-session-id": began["headers"]["mcp-session-id"]}
        call = {"name": "add", "arguments": {"a": 2, "b": 3}}
        legacy = await asyncio.to_thread(
            post, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}, **session
        )
        assert json.loads(legacy["body"])["result"]["content"][0]["text"] == "5"
        meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}, "progressToken": 1}
        headers = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "p"}
        modern = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "p", "_meta": meta}}
        reply = await asyncio.to_thread(post, modern, **headers)
        assert reply["headers"]["content-type"] == "application/json"
        assert json.loads(reply["body"])["result"]["content"][0]["text"] == "done"


async def _progressing(asked: Asked) -> Any:
    await asked.notify(
        "notifications/progress", {"progressToken": asked.params["_meta"]["progressToken"], "progress": 1}
    )
    return text("done")


async def test_a_call_that_an_operator_stops_ends_at_once_with_the_reason_and_at_the_server_too() -> None:
    hanging = asyncio.Event()

    async def hang(asked: Asked) -> Any:
        hanging.set()
        await asyncio.Event().wait()

    calls: list[Call] = []
    server = Scripted([tool("t")], run={"t": hang})
    async with federation({"s": server}) as app:
        for client in (Modern(app, prepare=calls.append), await Legacy(app, prepare=calls.append).begin()):
            hanging.clear()
            waiting = asyncio.create_task(client.send("tools/call", {"name": "t"}))
            await hanging.wait()
            calls[-1].stop(forbidden("switched off by the operator", policy="kill"))
            reply = await asyncio.wait_for(waiting, 1)
            assert "switched off" in reply.json["error"]["message"]
        await eventually(server.gone.is_set)
