"""Servers that answer whatever they like: nobody else's list or call is the worse for it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.mcp import jsonrpc
from tests.mcp.clients import Legacy, Modern, answer, federation
from tests.mcp.servers import Asked, Scripted, text, tool

ODD: list[Any] = [
    None,
    [],
    7,
    "x",
    {"capabilities": 7, "supportedVersions": "2026-07-28"},
    {"supportedVersions": ["2026-07-28"], "capabilities": [1]},
]


def says(result: Any) -> Any:
    async def method(asked: Asked) -> Any:
        return _Odd(result)

    return method


class _Odd(dict[str, Any]):
    """A result that is sent as it is, whatever it is."""

    def __init__(self, value: Any) -> None:
        super().__init__({"error": value} if value is None else {})
        self.value = value


class Odd(Scripted):
    async def _result(self, asked: Asked) -> dict[str, Any]:
        method = asked.message["method"]
        if method in self.methods:
            odd = await self.methods[method](asked)
            return {"result": odd.value} if isinstance(odd, _Odd) else {"result": odd}
        return await super()._result(asked)


@pytest.mark.parametrize("era", [Modern, Legacy])
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("method", ["server/discover", "initialize", "tools/list"])
async def test_an_odd_answer_costs_its_own_server_and_no_other(method: str, odd: Any, era: Any) -> None:
    bad = Odd([tool("never")], methods={method: says(odd)})
    async with federation({"bad": bad, "good": Scripted([tool("t")])}) as app:
        client = era(app)
        if era is Legacy:
            await client.begin()
        assert "t" in await client.tools()
        assert (await client.call("t", {"a": 1}))["content"][0]["text"] == '{"a": 1}'


async def test_odd_entries_are_left_out_of_a_list() -> None:
    entries = [
        7,
        None,
        {"name": 7},
        {"name": "ok", "inputSchema": "x"},
        {"title": "no name"},
        ["a"],
        tool("t"),
    ]
    bad = Odd(methods={"tools/list": says({"tools": entries})})
    async with federation({"bad": bad, "o": Scripted()}) as app:
        assert await Modern(app).tools() == ["ok", "t"]


@pytest.mark.parametrize("params", [[], 7, {"progressToken": {}}, {"level": []}, {}])
@pytest.mark.parametrize(
    "method", ["notifications/progress", "notifications/message", "notifications/tools/list_changed", "x"]
)
async def test_odd_notifications_do_not_break_the_call_that_they_come_in(method: str, params: Any) -> None:
    async def noisy(asked: Asked) -> Any:
        await asked.notify(method, params)
        return text("done")

    async with federation({"s": Scripted([tool("t")], run={"t": noisy})}) as app:
        reply = await Modern(app).send("tools/call", {"name": "t", "_meta": {"progressToken": 1}})
    assert answer(reply)["result"]["content"][0]["text"] == "done"


@pytest.mark.parametrize("result", [None, [], 7, "x", {"content": 7}, {"content": [7]}, {"isError": "x"}])
async def test_an_odd_result_reaches_the_client_or_is_an_error_and_the_next_call_is_healthy(
    result: Any,
) -> None:
    odd = Odd([tool("t"), tool("fine")], methods={"tools/call": says(result)})
    async with federation({"s": odd}, options={"s": {"max_rows": 3, "max_bytes": 10_000}}) as app:
        reply = await Modern(app).send("tools/call", {"name": "t"})
        assert reply.complete
        assert "result" in reply.json or "error" in reply.json
        del odd.methods["tools/call"]
        assert (await Modern(app).call("fine"))["content"][0]["text"] == "{}"


@pytest.mark.parametrize("depth", [200, 300, 600])
@pytest.mark.parametrize("bounds", [{}, {"max_rows": 3}, {"max_bytes": 256}])
async def test_a_deep_result_reaches_the_client_or_is_an_error_and_the_next_call_is_healthy(
    depth: int, bounds: dict[str, int]
) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]

    async def digs(asked: Asked) -> Any:
        return text("found") | {"structuredContent": {"deep": deep}}

    server = Scripted([tool("dig"), tool("fine")], run={"dig": digs})
    async with federation({"s": server}, options={"s": bounds}) as app:
        reply = await Modern(app).send("tools/call", {"name": "dig"})
        assert reply.status == 200
        assert b"the gateway failed" not in reply.body
        assert (await Modern(app).call("fine"))["content"][0]["text"] == "{}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":1,"result":' + b"[" * 100_000,
        b'{"id":1,"result":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"id":1,"method":"\xff"}',
        b"hello",
    ],
)
def test_what_is_no_message_of_a_server_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a JSON-RPC message"):
        jsonrpc.read_upstream(body)
