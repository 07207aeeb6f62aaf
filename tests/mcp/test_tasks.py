"""Tasks of many servers, in both eras."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.call import Call, Principal
from tests.mcp.clients import Legacy, Modern, events, federation
from tests.mcp.servers import Asked, Scripted, tool


def as_(name: str) -> Any:
    def prepare(call: Call) -> None:
        call.principal = Principal(name, "key")

    return prepare


async def begins(asked: Asked) -> Any:
    if asked.headers.get("mcp-protocol-version") == "2026-07-28":
        return {"resultType": "task", "taskId": "t-1", "status": "working"}
    meta = {"io.modelcontextprotocol/related-task": {"taskId": "t-1"}}
    await asked.notify("notifications/tasks/status", {"taskId": "t-1", "status": "working", "_meta": meta})
    return {"task": {"taskId": "t-1", "status": "working"}, "structuredContent": {"taskId": "untouched"}}


async def gets(asked: Asked) -> Any:
    assert asked.params["taskId"] == "t-1"
    return {"taskId": "t-1", "status": "completed"}


async def lists(asked: Asked) -> Any:
    return {"tasks": [{"taskId": "t-1", "status": "working"}]}


def server(**more: Any) -> Scripted:
    capabilities = {"tools": {}, "tasks": {"list": {}}}
    methods = {"tasks/get": gets, "tasks/list": lists}
    return Scripted([tool("go")], run={"go": begins}, methods=methods, capabilities=capabilities, **more)


async def test_a_modern_task_is_followed_at_its_own_server_and_by_its_own_principal_only() -> None:
    own = server()
    async with federation({"s": own, "o": Scripted([tool("x")])}) as app:
        mine = Modern(app, prepare=as_("key:a"))
        task = (await mine.call("go"))["taskId"]
        assert task.startswith("s.")
        reply = await mine.send("tasks/get", {"taskId": task}, headers={"mcp-name": task})
        assert reply.json["result"] == {"taskId": task, "status": "completed", "resultType": "complete"}
        assert own.calls("tasks/get")[0].headers["mcp-name"] == "t-1"
        other = Modern(app, prepare=as_("key:b"))
        stolen = await other.send("tasks/get", {"taskId": task}, headers={"mcp-name": task})
        assert stolen.json["error"]["code"] == -32602
    assert len(own.calls("tasks/get")) == 1


@pytest.mark.parametrize("others", [0, 1])
async def test_a_legacy_session_lists_and_follows_its_tasks(others: int) -> None:
    own = server(modern=False)
    async with federation({"s": own, **({"o": Scripted()} if others else {})}) as app:
        client = await Legacy(app).begin()
        reply = await client.send("tools/call", {"name": "go", "task": {"ttl": 1000}})
        said = events(reply)
        task = said[-1]["result"]["task"]["taskId"]
        assert said[0]["params"]["taskId"] == task
        assert said[0]["params"]["_meta"]["io.modelcontextprotocol/related-task"]["taskId"] == task
        assert said[-1]["result"]["structuredContent"] == {"taskId": "untouched"}
        assert (await client.ask("tasks/get", {"taskId": task}))["result"]["status"] == "completed"
        assert (await client.ask("tasks/list"))["result"]["tasks"] == [{"taskId": task, "status": "working"}]
        assert (await client.ask("tasks/get", {"taskId": "s.0.t-1"}))["error"]["code"] == -32602
