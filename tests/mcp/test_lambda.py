"""The MCP route as `build` makes it for Lambda's buffered place: what it promises there, and what it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.mcp.clients import META, Legacy, Modern, answer
from tests.mcp.lambdas import Lambdas, lambdas
from tests.mcp.servers import Asked, Scripted, served, text, tool

CHANGING = {
    "tools": {"listChanged": True}, "resources": {"subscribe": True, "listChanged": True},
    "prompts": {"listChanged": True}, "logging": {},
}  # fmt: skip


@asynccontextmanager
async def gateway(server: Scripted | None = None) -> AsyncIterator[Lambdas]:
    async with served(server or Scripted([tool("t")], capabilities=CHANGING)) as url:
        section = {"servers": {"s": {"url": url}}, "seal_key": "k" * 32}
        file = {
            "telemetry": {"log": "off"},
            "policies": {"auth": {"mode": "permissive"}},
            "routes": [{"path": "/mcp", "mcp": section}],
        }
        async with lambdas(json.dumps(file)) as app:
            yield app


def capabilities(result: dict[str, Any]) -> dict[str, Any]:
    return dict(result["capabilities"])


async def test_nothing_is_promised_that_needs_a_stream_and_get_is_405() -> None:
    async with gateway() as app:
        legacy = await Legacy(app).begin()
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        began = (await Legacy(app).ask("initialize", hello))["result"]
        discovered = (await Modern(app).ask("server/discover"))["result"]
        for said in (began, discovered):
            assert capabilities(said) == {"tools": {}, "resources": {}, "prompts": {}, "logging": {}}
        refused = await legacy.get()
        assert (refused.status, refused.headers["allow"]) == (405, "POST, DELETE")
        assert await legacy.tools() == ["t"]


async def test_a_subscription_is_acknowledged_empty_and_completed() -> None:
    async with gateway() as app:
        reply = await Modern(app).send(
            "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=7
        )
        assert reply.status == 200
        lines = [
            json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: {")
        ]
        acknowledged, completed = lines
    subscription = {META + "subscriptionId": 7}
    assert acknowledged["params"] == {"_meta": subscription, "notifications": {}}
    assert completed == {
        "jsonrpc": "2.0",
        "id": 7,
        "result": {"resultType": "complete", "_meta": subscription},
    }


async def test_any_instance_knows_the_session_that_another_began() -> None:
    async with gateway() as app:
        legacy = await Legacy(app).begin()
        results = await asyncio.gather(*(legacy.send("tools/call", {"name": "t"}) for _ in range(6)))
        assert all(answer(each)["result"]["content"] for each in results)


async def test_a_server_that_asks_all_the_same_is_told_at_once_that_nobody_can_be_asked() -> None:
    async def asks(asked: Asked) -> Any:
        return text(str((await asked.ask("elicitation/create", {}))["error"]["code"]))

    async with gateway(Scripted([tool("t")], run={"t": asks}, modern=False)) as app:
        legacy = await Legacy(app, capabilities={"elicitation": {}}).begin()
        assert (await legacy.call("t"))["content"][0]["text"] == "-32601"
