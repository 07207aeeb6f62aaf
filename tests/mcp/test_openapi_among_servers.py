"""What holds for every other server holds for an HTTP API: names, policies, guards, pins, search, clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.call import Attribution, Call
from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.openapi.upstream import OpenApiUpstream
from gateway.mcp.server import Agent, Retries, Scope, Server
from gateway.net.pool import Pool
from gateway.policies import Policies
from gateway.refusals import Refusal
from gateway.stores.memory import MemoryStore
from tests.mcp.apis import OK, PETS, SCHEMAS, Api, behind, body, document, one, parameter, said
from tests.mcp.clients import Legacy, Modern, events
from tests.mcp.lambdas import lambdas
from tests.mcp.servers import Asked, Scripted, served, tool
from tests.mcp.test_policies import Guard, under


async def test_names_are_federated_with_those_of_other_servers() -> None:
    async with behind(Api(), one(), server={"prefix": "pet_"}) as app:
        assert await Modern(app).tools() == ["pet_x"]
        assert (await Modern(app).call("pet_x"))["structuredContent"] == {"ok": True}


async def test_allow_lists_agents_and_path_scopes_hold() -> None:
    given = [parameter("path")]
    paths = {**one(parameters=given), "/y": {"get": {"operationId": "y", **OK}}}
    server = {"allow": frozenset({"x"}), "scope": Scope(path_prefix="/projects/"), "agents": {"bot": Agent()}}
    api = Api()

    def prepare(call: Call) -> None:
        call.attribution = Attribution(agent="bot")

    async with behind(api, paths, server=server) as app:
        asking = Modern(app, prepare=prepare)
        assert await asking.tools() == ["x"]
        assert (await asking.call("y"))["isError"] is True
        assert "may not be used" in said(await asking.call("x", {"path": "/projects/../etc"}))
        assert (await asking.call("x", {"path": "/projects/a"}))["structuredContent"] == {"ok": True}
        assert await Modern(app).tools() == []
    assert len(api.asked) == 1


async def test_a_long_answer_is_cut_and_marked() -> None:
    rows = json.dumps({"items": list(range(100))}).encode()
    async with behind(Api(body=rows), one(), server={"max_rows": 3}) as app:
        result = await Modern(app).call("x")
    assert result["structuredContent"]["items"] == [0, 1, 2]
    assert result["_meta"]["gateway/truncated"] == {"rows": 3, "of": 100}


async def test_policies_judge_the_call_and_the_record_names_server_and_tool() -> None:
    class Deny:
        def decide(self, call: Call, op: Any) -> Refusal | None:
            return Refusal(403, "permission_error", "no", policy="authz") if op.name == "y" else None

    recorded: list[tuple[str, str, str]] = []

    class Meter:
        at_once = False

        def record(self, call: Call, op: Any, outcome: str, **facts: Any) -> None:
            recorded.append((op.server, op.name, outcome))

    def prepare(call: Call) -> None:
        call.policies = Policies(authz=Deny(), usage=Meter())  # type: ignore[arg-type]

    api = Api(status=404)
    async with behind(api, {**one(), "/y": {"get": {"operationId": "y", **OK}}}) as app:
        asking = Modern(app, prepare=prepare)
        assert await asking.tools() == ["x"]
        await asking.call("x")
        assert "Unknown tool" in said(await asking.call("y"))
    assert recorded == [("pets", "x", "tool_error"), ("pets", "y", "refused")]


@pytest.mark.parametrize(("method", "asked"), [("get", 3), ("put", 3), ("post", 1)])
async def test_a_status_worth_another_attempt_is_tried_again_where_that_is_safe(
    method: str, asked: int
) -> None:
    api = Api(status=503)
    retries = Retries(max=2, backoff=0.001)
    paths = {"/x": {method: {"operationId": "x", **OK}}}
    async with behind(api, paths, options={"repeated": retries.on}, server={"retries": retries}) as app:
        result = await Modern(app).call("x")
    assert len(api.asked) == asked
    assert said(result) == "The tool could not be called: server 'pets' answered with HTTP status 503."


async def test_its_tools_stand_beside_those_of_an_mcp_server() -> None:
    async with served(Scripted([tool("x")])) as url, served(Api()) as api:
        pool = Pool(proxies=None)
        pets = OpenApiUpstream("pets", document(one()), client=pool, url=api)
        app = MCPApp([Server(pets), Server(HttpUpstream("other", url, client=pool))])
        legacy = await Legacy(app).begin()
        assert await legacy.tools() == ["pets_x", "other_x"]
        assert (await legacy.call("pets_x"))["structuredContent"] == {"ok": True}
        await legacy.delete()
        await pool.close()


async def test_an_answer_of_several_lines_is_one_event_where_the_client_gets_a_stream() -> None:
    async def progressing(asked: Asked) -> Any:
        await asked.notify(
            "notifications/progress", {"progressToken": asked.params["_meta"]["progressToken"], "progress": 1}
        )
        return {"content": []}

    many = b'{"a":\n\n1,\r\n\r"b": "c\\nd\xe2\x80\xa8"}'
    other = Scripted([tool("t")], run={"t": progressing})
    async with served(other) as url, served(Api(body=many)) as api:
        pool = Pool(proxies=None)
        pets = OpenApiUpstream("pets", document(one()), client=pool, url=api)
        app = MCPApp([Server(pets), Server(HttpUpstream("other", url, client=pool))])
        legacy = await Legacy(app, version="2025-03-26").begin()
        reply = await legacy.post([
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}},
            {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "t", "_meta": {"progressToken": 1}}},
        ])  # fmt: skip
        await legacy.delete()
        await pool.close()
    assert reply.headers["content-type"] == "text/event-stream"
    [result] = [each["result"] for each in events(reply) if each.get("id") == 1]
    assert result["structuredContent"] == {"a": 1, "b": "c\nd\u2028"}


async def test_the_sdks_client_lists_and_calls_it() -> None:
    from mcp import Client

    async with behind(Api(), PETS, more=SCHEMAS) as app, served(app) as url, Client(url) as client:
        assert len((await client.list_tools()).tools) == 5
        result = await client.call_tool("getPet", {"petId": "1"})
        wrong = await client.call_tool("getPet", {})
    assert (result.structured_content, result.is_error) == ({"ok": True}, False)
    assert wrong.is_error is True


async def test_it_is_served_on_lambda(tmp_path: Path) -> None:
    (tmp_path / "pets.json").write_text(json.dumps(document(PETS, **SCHEMAS)))
    async with served(Api()) as url:
        server = {"openapi": str(tmp_path / "pets.json"), "url": url}
        file = {
            "telemetry": {"log": "off"},
            "policies": {"auth": {"mode": "permissive"}},
            "routes": [{"path": "/mcp", "mcp": {"servers": {"pets": server}, "seal_key": "k" * 32}}],
        }
        async with lambdas(json.dumps(file)) as app:
            legacy = await Legacy(app).begin()
            assert len(await legacy.tools()) == 5
            assert (await legacy.call("getPet", {"petId": "1"}))["structuredContent"] == {"ok": True}


async def test_guards_read_definitions_arguments_and_results() -> None:
    api = Api(body=b'{"note": "a secret"}')
    paths = {
        "/x": {"post": {"operationId": "x", "requestBody": body({}), **OK}},
        "/y": {"get": {"operationId": "y", "description": "evil", **OK}},
    }
    async with behind(api, paths) as app:
        asking = Modern(app, prepare=under(guard=Guard()))
        assert await asking.tools() == ["x"]
        result = await asking.call("x", {"body": {"text": "my secret"}})
        refused = await asking.call("x", {"body": {"text": "bad"}})
    assert [json.loads(each.body) for each in api.asked] == [{"text": "my ***"}]
    assert result["structuredContent"] == {"note": "a ***"}
    assert refused["isError"] is True


async def test_definitions_are_pinned_and_held_back_when_the_document_changes() -> None:
    store = MemoryStore()
    async with behind(Api(), one(summary="old"), pins="trust-first", store=store) as app:
        assert await Modern(app).tools() == ["x"]
    changed = {**one(summary="new"), "/y": {"get": {"operationId": "y", **OK}}}
    async with behind(Api(), changed, pins="trust-first", store=store) as app:
        assert await Modern(app).tools() == ["y"]
        assert "held" in said(await Modern(app).call("x"))


async def test_operations_are_found_by_search_where_only_that_is_shown() -> None:
    api = Api()
    async with behind(api, PETS, more=SCHEMAS, disclosure="search") as app:
        asking = Modern(app)
        assert await asking.tools() == ["search_tools", "call_tool"]
        assert "listPets" in said(await asking.call("search_tools", {"query": "list pets"}))
        await asking.call("call_tool", {"name": "getPet", "arguments": {"petId": "9"}})
    assert api.asked[0].target == "/v1/pets/9"
