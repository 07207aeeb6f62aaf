"""What is never the caller's to say to an API: another path, another header, the gateway's credential."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.identity.upstream import Static
from tests.mcp.apis import PETS, SCHEMAS, Api, behind, one, parameter, said
from tests.mcp.clients import Modern


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
