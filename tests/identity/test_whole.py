"""Identity and policy of a whole gateway, from the file's words to what a client is told."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.demo import filesystem
from gateway.identity import mint
from tests.whole.running import Whole, served, whole

SECRET = b"a-secret-of-at-least-thirty-two-bytes"
FILE = """
public_url: https://tools.example.com
store: "memory:"
telemetry: {{log: 'off'}}
routes:
- path: /mcp
  mcp: {{servers: {{files: {{url: '{tools}/mcp'}}}}}}
  policies:
    auth: {{jwt: [{{issuer: idp, secret: "${{SECRET}}"}}], resource: {{scopes: [tools]}}}}
    authz:
      allow: ['jwt.role == "admin"', 'jwt.role == "user" && mcp.tool.name != "delete_file"']
      deny: ['mcp.tool.name == "read_file" && mcp.tool.arguments.path.startsWith("secret")']
      scopes: {{write_file: [files:write]}}
"""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    (tmp_path / "hello.txt").write_text("hello")
    async with (
        served(filesystem.app(tmp_path)) as tools,
        whole(FILE.format(tools=tools), SECRET=SECRET.decode()) as running,
    ):
        yield running


def token(role: str, **claims: Any) -> str:
    told = {"iss": "idp", "aud": "https://tools.example.com/mcp", "sub": "ada", "role": role, **claims}
    return mint.token(told, key=SECRET, at=time.time(), lifetime=60, secret=True)


async def say(gateway: Whole, method: str, bearer: str, **params: Any) -> httpx.Response:
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(f"{gateway.url}/mcp", headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})  # fmt: skip


def start() -> dict[str, Any]:
    return {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


async def tools(gateway: Whole, role: str) -> set[str]:
    reply = await say(gateway, "tools/list", token(role))
    return {tool["name"] for tool in reply.json()["result"]["tools"]}


async def test_lists_show_only_what_the_caller_may_call(gateway: Whole) -> None:
    assert "delete_file" in await tools(gateway, "admin")
    seen = await tools(gateway, "user")
    assert "read_file" in seen
    assert "delete_file" not in seen


async def test_a_hidden_tool_answers_as_an_unknown_one_does(gateway: Whole) -> None:
    hidden, unknown = [await say(gateway, "tools/call", token("user"), name=name, arguments={"path": "hello.txt"})
                       for name in ("delete_file", "no_such_file")]  # fmt: skip
    assert hidden.status_code == unknown.status_code
    assert "delete_file" in hidden.text
    assert hidden.text.replace("delete_file", "") == unknown.text.replace("no_such_file", "")


async def test_a_tool_refused_for_its_arguments_is_a_result_that_names_the_policy(gateway: Whole) -> None:
    fine = await say(gateway, "tools/call", token("user"), name="read_file", arguments={"path": "hello.txt"})
    assert "hello" in fine.json()["result"]["content"][0]["text"]
    refused = await say(
        gateway, "tools/call", token("user"), name="read_file", arguments={"path": "secret.txt"}
    )
    assert refused.json()["result"]["isError"] is True
    assert "authz" in refused.json()["result"]["content"][0]["text"]
    assert "startsWith" not in refused.text


async def test_who_could_do_nothing_is_told_at_the_door_and_who_could_do_something_comes_in(
    gateway: Whole,
) -> None:
    assert (await say(gateway, "initialize", token("guest"), **start())).status_code == 403
    assert (await say(gateway, "initialize", token("user"), **start())).status_code == 200


async def test_a_missing_credential_is_401_with_the_way_to_a_token_and_a_missing_scope_403_with_all_of_them(gateway: Whole) -> None:  # fmt: skip
    bare = await say(gateway, "initialize", "", **start())
    assert bare.status_code == 401
    assert bare.headers["www-authenticate"] == (
        'Bearer scope="tools", resource_metadata="https://tools.example.com/.well-known/oauth-protected-resource/mcp"'
    )
    lacking = await say(
        gateway, "tools/call", token("admin"), name="write_file", arguments={"path": "a", "content": "b"}
    )
    assert lacking.status_code == 403
    challenge = lacking.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_scope"')
    assert 'scope="files:write"' in challenge
    wrote = await say(gateway, "tools/call", token("admin", scope="files:write"), name="write_file", arguments={"path": "a", "content": "b"})  # fmt: skip
    assert wrote.status_code == 200
    assert not wrote.json()["result"].get("isError")


async def test_the_metadata_documents_stand_at_both_places(gateway: Whole) -> None:
    async with httpx.AsyncClient() as client:
        for path in ("/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"):
            document = (await client.get(gateway.url + path)).json()
            assert document["resource"] == "https://tools.example.com/mcp"
            assert document["bearer_methods_supported"] == ["header"]


async def test_the_root_speaks_for_no_route_where_there_are_two() -> None:
    file = """
    public_url: https://tools.example.com
    store: "memory:"
    telemetry: {log: 'off'}
    routes:
    - {path: /one, llm: {providers: {ollama: {}}}, policies: {auth: {keys: true, resource: {}}}}
    - {path: /two, llm: {providers: {ollama: {}}}, policies: {auth: {keys: true, resource: {}}}}
    """
    async with whole(file) as running, httpx.AsyncClient(base_url=running.url) as client:
        root = "/.well-known/oauth-protected-resource"
        assert (await client.get(root)).status_code == 404
        assert (await client.get(f"{root}/two")).json()["resource"] == "https://tools.example.com/two"


async def test_a_token_for_another_resource_is_refused(gateway: Whole) -> None:
    for audience in (
        "https://tools.example.com",
        "https://tools.example.com/mcp/",
        "https://other.example.com/mcp",
    ):
        reply = await say(gateway, "initialize", token("admin", aud=audience), **start())
        assert (reply.status_code, 'error="invalid_token"' in reply.headers["www-authenticate"]) == (
            401,
            True,
        )
