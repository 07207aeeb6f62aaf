"""An HTTP API as a server, by its OpenAPI document."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.call import Attribution, Call
from gateway.identity.upstream import Static
from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.openapi.upstream import OpenApiUpstream
from gateway.mcp.server import Agent, Retries, Scope, Server
from gateway.net.pool import Pool
from gateway.policies import Policies
from gateway.refusals import Refusal
from gateway.stores.memory import MemoryStore
from tests.mcp.apis import OK, Api, behind, body, document, parameter
from tests.mcp.clients import Legacy, Modern, events, eventually
from tests.mcp.lambdas import lambdas
from tests.mcp.servers import Asked, Scripted, served, tool
from tests.mcp.test_policies import Guard, under

PET = {"type": "object", "required": ["id", "name"], "properties": {
    "id": {"type": "integer", "readOnly": True}, "name": {"type": "string"},
    "mother": {"$ref": "#/components/schemas/Pet"}}}  # fmt: skip
PETS: dict[str, Any] = {
    "/pets": {
        "get": {"operationId": "listPets", "summary": "List pets", "description": "All of them.",
                "parameters": [parameter("limit", schema={"type": "integer"}), parameter("tag", schema={"type": "array"})], **OK},
        "post": {"operationId": "createPet", "requestBody": body({"$ref": "#/components/schemas/Pet"}, required=True), **OK},
    },
    "/pets/{petId}": {
        "parameters": [parameter("petId", "path", required=True)],
        "get": {"operationId": "getPet", **OK},
        "put": {"operationId": "replacePet", "requestBody": body({"type": "object"}), **OK},
        "delete": OK,
    },
}  # fmt: skip
SCHEMAS = {"components": {"schemas": {"Pet": PET}}}


def said(result: dict[str, Any]) -> str:
    assert len(result["content"]) == 1
    return str(result["content"][0]["text"])


def one(**operation: Any) -> dict[str, Any]:
    return {"/x": {"get": {"operationId": "x", **operation, **OK}}}


@pytest.mark.parametrize("era", [Modern, Legacy])
async def test_each_operation_is_a_tool_that_every_era_can_call(era: Any) -> None:
    api = Api(body=b'{"id": 7,\n "name": "Rex"}')
    async with behind(api, PETS, more=SCHEMAS) as app:
        asking = era(app) if era is Modern else await era(app).begin()
        assert await asking.tools() == ["listPets", "createPet", "getPet", "replacePet", "delete_pets_petId"]
        result = await asking.call("getPet", {"petId": "7"})
    assert result["structuredContent"] == {"id": 7, "name": "Rex"}
    assert said(result) == '{"id": 7,\n "name": "Rex"}'
    assert "isError" not in result
    assert ("resultType" in result) is (era is Modern)
    assert (api.asked[0].method, api.asked[0].target, api.asked[0].body) == ("GET", "/v1/pets/7", b"")


async def test_a_tool_says_what_the_document_says_and_how_careful_to_be() -> None:
    async with behind(Api(), PETS, more=SCHEMAS) as app:
        tools = {each["name"]: each for each in (await Modern(app).ask("tools/list"))["result"]["tools"]}
    for each in tools.values():
        jsonschema.Draft202012Validator.check_schema(each["inputSchema"])
    assert {name: each["annotations"] for name, each in tools.items()} == {
        "listPets": {"readOnlyHint": True},
        "createPet": {"readOnlyHint": False},
        "getPet": {"readOnlyHint": True},
        "replacePet": {"readOnlyHint": False, "idempotentHint": True},
        "delete_pets_petId": {"readOnlyHint": False, "destructiveHint": True},
    }
    assert (tools["listPets"]["title"], tools["listPets"]["description"]) == ("List pets", "All of them.")
    assert tools["delete_pets_petId"]["description"] == "DELETE /pets/{petId}"
    created = tools["createPet"]["inputSchema"]
    assert created["required"] == ["body"]
    assert created["properties"] == {
        "body": {"$ref": "#/$defs/Pet", "description": "The body of the request."}
    }
    assert created["$defs"]["Pet"]["required"] == ["name"]
    assert created["$defs"]["Pet"]["properties"] == {
        "name": {"type": "string"},
        "mother": {"$ref": "#/$defs/Pet"},
    }
    jsonschema.validate({"body": {"name": "a", "mother": {"name": "b", "mother": {"name": "c"}}}}, created)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"body": {"name": "a", "mother": {"name": 1}}}, created)


async def test_a_body_passes_word_for_word_as_the_documents_media_type() -> None:
    api = Api()
    paths = {
        "/pets": {
            "patch": {"operationId": "p", "requestBody": body({}, "application/merge-patch+json"), **OK}
        }
    }
    raw = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"p","arguments":{"body":{"x":1.0,  "y":123456789012345678901}}}}'
    async with behind(api, paths) as app:
        await Legacy(app).post(raw)
    assert api.asked[0].body == b'{"x":1.0,  "y":123456789012345678901}'
    assert api.asked[0].headers["content-type"] == "application/merge-patch+json"


async def test_a_form_is_sent_as_one() -> None:
    api = Api()
    paths = {
        "/t": {
            "post": {
                "operationId": "p",
                "requestBody": body({"type": "object"}, "application/x-www-form-urlencoded"),
                **OK,
            }
        }
    }
    async with behind(api, paths) as app:
        await Modern(app).call("p", {"body": {"a": "1&b=2", "c": [True, 3]}})
        wrong = await Modern(app).call("p", {"body": [1]})
    assert api.asked[0].body == b"a=1%26b%3D2&c=true&c=3"
    assert wrong["isError"] is True
    assert len(api.asked) == 1


async def test_arguments_go_where_the_document_puts_them() -> None:
    api = Api()
    given = [
        parameter("id", "path", required=True), parameter("id"), parameter("filter[a]"), parameter("X-Trace", "header"),
        parameter("sid", "cookie"), parameter("on", schema={"type": "boolean"}),
    ]  # fmt: skip
    async with behind(api, {"/x/{id}": {"get": {"operationId": "x", "parameters": given, **OK}}}) as app:
        listed = (await Modern(app).ask("tools/list"))["result"]["tools"][0]["inputSchema"]
        await Modern(app).call("x", {"id": "a", "id_query": "b", "filter_a": "c&d", "X-Trace": "e é", "sid": "f;g", "on": True})  # fmt: skip
    assert list(listed["properties"]) == ["id", "id_query", "filter_a", "X-Trace", "sid", "on"]
    asked = api.asked[0]
    assert asked.target == "/v1/x/a?id=b&filter%5Ba%5D=c%26d&on=true"
    assert (asked.headers["x-trace"], asked.headers["cookie"]) == ("e é", "sid=f%3Bg")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "required and missing: petId"),
        ({"petId": None}, "required and missing: petId"),
        ({"petId": "1", "colour": "red"}, "there is no argument 'colour'; there are: petId"),
        ({"petId": {"a": {}}}, "the argument 'petId' is nested deeper"),
    ],
)
async def test_arguments_that_make_no_request_are_a_tools_error_that_names_them(
    arguments: Any, named: str
) -> None:
    api = Api()
    async with behind(api, PETS, more=SCHEMAS) as app:
        result = await Modern(app).call("getPet", arguments)
    assert result["isError"] is True
    assert named in said(result)
    assert api.asked == []


async def test_a_body_that_must_be_there_is_asked_for() -> None:
    async with behind(Api(), PETS, more=SCHEMAS) as app:
        result = await Modern(app).call("createPet")
    assert (result["isError"], "required and missing: body" in said(result)) == (True, True)


# -- answers

PICTURE = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("kind", "sent", "content", "structured"),
    [
        ("application/json; charset=utf-8", b'{"a": 1.50}', {"type": "text", "text": '{"a": 1.50}'}, {"a": 1.5}),
        ("application/hal+json", b'{"a":1}', {"type": "text", "text": '{"a":1}'}, {"a": 1}),
        ("application/json", b"[1,2]", {"type": "text", "text": "[1,2]"}, None),
        ("application/json", b"{broken", {"type": "text", "text": "{broken"}, None),
        ("application/json", b"\xef\xbb\xbf{}", {"type": "text", "text": "{}"}, {}),
        ("", b'{"a":1}', {"type": "text", "text": '{"a":1}'}, {"a": 1}),
        ("text/plain", "é".encode(), {"type": "text", "text": "é"}, None),
        ("text/plain; charset=latin-1", b"\xe9", {"type": "text", "text": "é"}, None),
        ("text/plain; charset=none-such", b"a", {"type": "text", "text": "a"}, None),
        ("text/plain; charset=idna", b"a", {"type": "text", "text": "a"}, None),
        ("text/plain; charset=iso-8859-99", b"a", {"type": "text", "text": "a"}, None),
        ('text/plain; charset="windows-1252"', b"\x80", {"type": "text", "text": "€"}, None),
        ("text/html", b"<p>", {"type": "text", "text": "<p>"}, None),
        ("image/svg+xml", b"<svg/>", {"type": "text", "text": "<svg/>"}, None),
        ("image/png", PICTURE, {"type": "image", "data": base64.b64encode(PICTURE).decode(), "mimeType": "image/png"}, None),
        ("application/pdf", b"%PDF-\xff", {"type": "text", "text": "[application/pdf, 6 bytes: not shown]"}, None),
        ("", b"\xff\xfe", {"type": "text", "text": "[data of no named kind, 2 bytes: not shown]"}, None),
        ("application/json", b"", {"type": "text", "text": "HTTP 200 OK, without content"}, None),
    ],
)  # fmt: skip
async def test_an_answer_is_shown_as_what_it_is(
    kind: str, sent: bytes, content: Any, structured: Any
) -> None:
    async with behind(Api(kind=kind, body=sent), one()) as app:
        result = await Modern(app).call("x")
    assert result["content"] == [content]
    assert result.get("structuredContent") == structured
    assert "isError" not in result


@pytest.mark.parametrize(("depth", "structured"), [(128, True), (129, False), (1000, False), (5000, False)])
@pytest.mark.parametrize("era", [Modern, Legacy])
async def test_an_answer_nested_too_deeply_is_a_text(era: Any, depth: int, structured: bool) -> None:
    sent = b'{"a":' * depth + b"1" + b"}" * depth
    async with behind(Api(body=sent), one()) as app:
        asking = era(app, prepare=under(guard=Guard()))
        result = await (asking if era is Modern else await asking.begin()).call("x")
    assert said(result) == sent.decode()
    assert ("structuredContent" in result) is structured


@pytest.mark.parametrize(
    ("status", "kind", "sent", "text"),
    [
        (404, "application/json", b'{"detail":"no such pet"}', 'HTTP 404 Not Found: {"detail":"no such pet"}'),
        (500, "text/plain", b"", "HTTP 500 Internal Server Error"),
        (599, "text/plain", b"odd", "HTTP 599: odd"),
        (400, "application/pdf", b"%PDF", "HTTP 400 Bad Request: [application/pdf, 4 bytes: not shown]"),
        (422, "text/plain", b"x" * 5000, "HTTP 422 Unprocessable Entity: " + "x" * 4096 + "… [5000 characters]"),
        (304, "text/html", b"", "HTTP 304 Not Modified"),
        (302, "text/html", b"<a>", "HTTP 302 Found: where the API sends to is not followed"),
    ],
)  # fmt: skip
async def test_a_refusal_of_the_api_is_a_tools_error_with_what_it_said(
    status: int, kind: str, sent: bytes, text: str
) -> None:
    api = Api(status=status, kind=kind, body=sent, headers={"location": "https://elsewhere.example/secret"})
    async with behind(api, one()) as app:
        result = await Modern(app).call("x")
    assert (result["isError"], said(result)) == (True, text)
    assert "structuredContent" not in result
    assert len(api.asked) == 1


async def test_an_api_that_cannot_be_reached_is_not_named_to_the_client() -> None:
    async with behind(Api(), one(), options={"url": "http://127.0.0.1:1"}) as app:
        result = await Modern(app).call("x")
    assert result["isError"] is True
    assert said(result) == "The tool could not be called: it cannot be reached."
    assert "127.0.0.1" not in json.dumps(result)


async def test_an_api_that_is_too_slow_is_given_up() -> None:
    api = Api(hang=True)
    async with behind(api, one(), options={"timeout": 0.1}) as app:
        result = await Modern(app).call("x")
        assert said(result) == "The tool could not be called: it did not answer in time."
        await asyncio.wait_for(api.left.wait(), 2)


async def test_a_client_that_leaves_ends_the_request_to_the_api() -> None:
    api = Api(hang=True)
    async with behind(api, one()) as app:
        task = asyncio.create_task(Modern(app).send("tools/call", {"name": "x", "arguments": {}}))
        await eventually(lambda: api.asked)
        task.cancel()
        await asyncio.wait_for(api.left.wait(), 2)


async def test_an_answer_that_came_packed_is_not_passed_off_as_text() -> None:
    async with behind(Api(headers={"content-encoding": "gzip"}), one()) as app:
        result = await Modern(app).call("x")
    assert "packed" in said(result)
    assert result["isError"] is True


# -- what is never the caller's to say


@pytest.mark.parametrize(
    "value",
    ["..", ".", "", "../admin", "a/../../b", "..\\b", "%2e%2e", "%252e%252e/x", "a%2f..", "/", "a/", ["a", "..", "/.."], "..;", "..%3bx=1/a", "..?a", "..%23a", ".\t.", " ..", "..%00"],
)  # fmt: skip
async def test_a_path_argument_cannot_leave_its_segment(value: Any) -> None:
    api = Api()
    async with behind(api, PETS, more=SCHEMAS) as app:
        result = await Modern(app).call("getPet", {"petId": value})
    assert result["isError"] is True
    assert "'petId'" in said(result)
    assert api.asked == []


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("a/b", "/v1/pets/a%2Fb"),
        ("a?admin=1#x", "/v1/pets/a%3Fadmin%3D1%23x"),
        ("a b\r\nx: y", "/v1/pets/a%20b%0D%0Ax%3A%20y"),
        ("é@;,+", "/v1/pets/%C3%A9%40%3B%2C%2B"),
        (".hidden", "/v1/pets/.hidden"),
        (";..", "/v1/pets/%3B.."),
        (7, "/v1/pets/7"),
        (7.0, "/v1/pets/7"),
        (123456789012345678901, "/v1/pets/123456789012345678901"),
        (["a", "b,c"], "/v1/pets/a,b%2Cc"),
    ],
)
async def test_a_path_argument_is_escaped(value: Any, target: str) -> None:
    api = Api()
    async with behind(api, PETS, more=SCHEMAS) as app:
        await Modern(app).call("getPet", {"petId": value})
    assert api.asked[0].target == target


@pytest.mark.parametrize("value", ["a\r\nx-admin: 1", "a\nb", "a\0b", "a\u2028b", "日本"])
async def test_a_header_argument_cannot_make_a_second_line(value: str) -> None:
    api = Api()
    async with behind(api, one(parameters=[parameter("X-Note", "header")])) as app:
        result = await Modern(app).call("x", {"X-Note": value})
    assert (result["isError"], "'X-Note'" in said(result)) == (True, True)
    assert api.asked == []


async def test_headers_of_the_gateway_and_of_its_credential_are_neither_asked_for_nor_overwritten() -> None:
    api = Api()
    names = [
        "Authorization",
        "X-Api-Key",
        "Host",
        "Content-Type",
        "Cookie",
        "X-Team",
        "Transfer-Encoding",
        "User-Agent",
        "traceparent",
        "X-Mine",
    ]
    given = [parameter(name, "header") for name in names]
    options = {
        "auth": Static({"X-Api-Key": "ours", "Authorization": "Bearer ours"}),
        "supplied": ["X-Api-Key"],
        "forward": ["X-Team"],
    }
    async with behind(api, one(parameters=given), options=options) as app:
        tools = (await Modern(app).ask("tools/list"))["result"]["tools"]
        assert list(tools[0]["inputSchema"]["properties"]) == ["X-Mine"]
        arguments = {"X-Mine": "theirs"}
        headers = {
            "authorization": "Bearer client",
            "x-team": "core",
            "x-other": "no",
            "cookie": "session=client",
        }
        await Modern(app).call("x", arguments, headers=headers)
        refused = await Modern(app).call("x", {"X-Api-Key": "mine"})
    asked = api.asked[0].headers
    assert refused["isError"] is True
    assert (asked["x-api-key"], asked["authorization"], asked["x-team"]) == ("ours", "Bearer ours", "core")
    assert (asked["user-agent"], asked["x-mine"]) == ("asgi-gateway", "theirs")
    assert not {"x-other", "cookie", "mcp-method"} & asked.keys()


async def test_a_header_that_only_the_credential_knows_of_wins() -> None:
    api = Api()
    options = {"auth": Static({"X-Tenant": "ours"})}
    async with behind(api, one(parameters=[parameter("X-Tenant", "header")]), options=options) as app:
        await Modern(app).call("x", {"X-Tenant": "theirs"})
    assert api.asked[0].headers["x-tenant"] == "ours"


async def test_cookies_are_not_asked_for_where_the_gateway_sends_its_own() -> None:
    api = Api()
    options = {"auth": Static({"Cookie": "sid=ours"}), "supplied": ["Cookie"]}
    async with behind(api, one(parameters=[parameter("theme", "cookie")]), options=options) as app:
        refused = await Modern(app).call("x", {"theme": "dark"})
        await Modern(app).call("x")
    assert "there is no argument 'theme'" in said(refused)
    assert [each.headers["cookie"] for each in api.asked] == ["sid=ours"]


async def test_a_header_stands_once_however_it_is_spelled() -> None:
    api = Api()
    paths = one(parameters=[parameter("X-Trace", "header")])
    paths["/x"]["parameters"] = [parameter("x-trace", "header", required=True), parameter("x-trace")]
    async with behind(api, paths) as app:
        [tool] = (await Modern(app).ask("tools/list"))["result"]["tools"]
        await Modern(app).call("x", {"X-Trace": "a", "x-trace": "b"})
    assert list(tool["inputSchema"]["properties"]) == ["X-Trace", "x-trace"]
    assert (api.asked[0].headers["x-trace"], api.asked[0].target) == ("a", "/v1/x?x-trace=b")


async def test_a_trace_goes_on_at_the_api() -> None:
    api = Api()
    async with behind(api, one()) as app:
        meta = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
        await Modern(app).ask("tools/call", {"name": "x", "arguments": {}, "_meta": meta})
    assert api.asked[0].headers["traceparent"].startswith("00-" + "a" * 32)
    assert "b" * 16 not in api.asked[0].headers["traceparent"]


# -- with all that holds for other servers


async def test_names_are_federated_with_those_of_other_servers() -> None:
    async with behind(Api(), one(), server={"prefix": "pet_"}) as app:
        assert await Modern(app).tools() == ["pet_x"]
        assert (await Modern(app).call("pet_x"))["structuredContent"] == {"ok": True}


async def test_allow_lists_agents_and_path_scopes_hold() -> None:
    given = [parameter("path")]
    paths = {**one(parameters=given), "/y": {"get": {"operationId": "y", **OK}}}
    server = {"allow": frozenset({"x"}), "scope": Scope(path_prefix="/work/"), "agents": {"bot": Agent()}}
    api = Api()

    def prepare(call: Call) -> None:
        call.attribution = Attribution(agent="bot")

    async with behind(api, paths, server=server) as app:
        asking = Modern(app, prepare=prepare)
        assert await asking.tools() == ["x"]
        assert (await asking.call("y"))["isError"] is True
        assert "may not be used" in said(await asking.call("x", {"path": "/work/../etc"}))
        assert (await asking.call("x", {"path": "/work/a"}))["structuredContent"] == {"ok": True}
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


async def test_only_the_operations_that_are_wanted_are_offered() -> None:
    async with behind(Api(), PETS, options={"operations": ["list*", "delete_*"]}, more=SCHEMAS) as app:
        assert await Modern(app).tools() == ["listPets", "delete_pets_petId"]


async def test_it_has_tools_and_nothing_else() -> None:
    async with behind(Api(), one()) as app:
        asking = Modern(app)
        assert (await asking.ask("server/discover"))["result"]["capabilities"] == {"tools": {}}
        assert (await asking.ask("resources/list"))["result"]["resources"] == []
        assert (await asking.ask("prompts/get", {"name": "p"}))["error"]["code"] == -32602
        [status] = await app.status()
    assert (status.server, status.tools, status.error) == ("pets", 1, "")


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
