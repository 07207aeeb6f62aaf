"""An HTTP API as a server: each operation is a tool, and a call of it is a request."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.mcp.apis import OK, PETS, SCHEMAS, Api, behind, body, one, parameter, said
from tests.mcp.clients import Legacy, Modern


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
