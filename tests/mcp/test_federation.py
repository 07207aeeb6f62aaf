"""Many servers as one, in both eras."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.call import Call
from gateway.mcp.catalog import Catalog
from gateway.mcp.peer import Peer
from gateway.mcp.server import Retries
from gateway.mcp.tables import TOOLS
from tests.mcp.clients import Legacy, Modern, federation
from tests.mcp.servers import Asked, Scripted, text, tool

ERAS = pytest.mark.parametrize("era", [Modern, Legacy])


async def client(era: Any, app: Any, **options: Any) -> Any:
    made = era(app, **options)
    return await made.begin() if era is Legacy else made


@ERAS
async def test_tools_of_all_servers_are_listed_in_the_files_order_and_called_by_name(era: Any) -> None:
    servers = {"one": Scripted([tool("b"), tool("a")]), "two": Scripted([tool("c")])}
    async with federation(servers) as app:
        asking = await client(era, app)
        assert await asking.tools() == ["b", "a", "c"]
        assert (await asking.call("c", {"x": 1}))["content"][0]["text"] == '{"x": 1}'
    assert len(servers["two"].calls()) == 1
    assert servers["one"].calls() == []


@ERAS
@pytest.mark.parametrize(
    "upstream", [{"legacy": False}, {"modern": False}, {}, {"modern": False, "sessions": False}]
)
async def test_every_era_of_client_reaches_every_era_of_server(era: Any, upstream: Any) -> None:
    server = Scripted([tool("t")], **upstream)
    async with federation({"s": server, "other": Scripted([tool("u")])}) as app:
        asking = await client(era, app)
        assert await asking.tools() == ["t", "u"]
        result = await asking.call("t", {"n": [1.50, 12345678901234567890]})
    assert result["content"][0]["text"] == '{"n": [1.5, 12345678901234567890]}'
    assert ("resultType" in result) is (era is Modern)


async def test_a_list_is_complete_although_its_server_pages_it() -> None:
    many = [tool(f"t{n}") for n in range(25)]
    async with federation({"s": Scripted(many, page=7), "x": Scripted([tool("y")])}) as app:
        assert await Modern(app).tools() == [f"t{n}" for n in range(25)] + ["y"]


@pytest.mark.parametrize("broken", ["down", "slow", "wrong"])
async def test_a_server_that_fails_is_named_and_delays_the_others_no_longer_than_the_deadline(
    broken: str,
) -> None:
    async def hang(asked: Asked) -> Any:
        await asyncio.Event().wait()

    async def wrong(asked: Asked) -> Any:
        return {"error": {"code": -32603, "message": "broken"}}

    bad = Scripted([tool("never")])
    if broken != "down":
        bad.methods["tools/list"] = hang if broken == "slow" else wrong
    else:
        bad.modern = bad.legacy = False
    began = asyncio.get_running_loop().time()
    async with federation({"bad": bad, "good": Scripted([tool("t")])}, list_timeout=0.2) as app:
        result = (await Modern(app).ask("tools/list"))["result"]
        took = asyncio.get_running_loop().time() - began
        assert [each["name"] for each in result["tools"]] == ["t"]
        assert result["_meta"]["gateway/missing"][0]["server"] == "bad"
        assert took < 2
        again = asyncio.get_running_loop().time()
        assert await Modern(app).tools() == ["t"]
        assert asyncio.get_running_loop().time() - again < 0.15  # it is not waited for again at once


async def test_names_that_collide_are_prefixed_and_lead_to_their_own_servers() -> None:
    servers = {"pg": Scripted([tool("query")]), "my": Scripted([tool("query"), tool("only")])}
    async with federation(servers) as app:
        assert await Modern(app).tools() == ["pg_query", "my_query", "only"]
        await Modern(app).call("my_query")
    assert servers["my"].calls()[0].params["name"] == "query"
    assert servers["my"].calls()[0].headers["mcp-name"] == "query"


async def test_a_servers_own_prefix_stands_before_all_its_names() -> None:
    server = Scripted([tool("query")])
    async with federation({"postgres": server}, options={"postgres": {"prefix": "pg_"}}) as app:
        assert await Modern(app).tools() == ["pg_query"]
        await Modern(app).call("pg_query")
    assert server.calls()[0].params["name"] == "query"


async def test_definitions_and_results_pass_with_all_that_they_hold() -> None:
    odd = tool("t", icons=[{"src": "data:,"}], inputSchema={"type": "object", "$defs": {"a": {"$anchor": "x"}}},
               annotations={"vendor": 1}, _meta={"com.example/x": [1]}, outputSchema={"type": "array"})  # fmt: skip

    async def run(asked: Asked) -> Any:
        return text("x", structuredContent=[1, {"a": None}], _meta={"com.example/y": 2.50}, extra="kept")

    async with federation({"s": Scripted([odd], run={"t": run})}, prefix="always") as app:
        listed = (await Modern(app).ask("tools/list"))["result"]["tools"][0]
        assert listed == {**odd, "name": "s_t"}
        result = await Modern(app).call("s_t")
    assert result["structuredContent"] == [1, {"a": None}]
    assert (result["_meta"], result["extra"]) == ({"com.example/y": 2.5}, "kept")


async def test_arguments_reach_the_server_byte_for_byte() -> None:
    server = Scripted([tool("t")], modern=False, sessions=False)
    raw = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":1.0,  "y":1E2,"z":"\\u00e9"}}}'
    async with federation({"s": server}) as app:
        await Legacy(app).post(raw)
    assert b'"arguments":{"x":1.0,  "y":1E2,"z":"\\u00e9"}' in server.calls()[0].body


async def test_capabilities_and_instructions_are_those_of_all_servers_together() -> None:
    one = Scripted(capabilities={"tools": {}, "extensions": {"a/x": {}}})
    two = Scripted(capabilities={"prompts": {"listChanged": True}, "extensions": {"b/y": {"z": 1}}})
    async with federation({"one": one, "two": two}) as app:
        found = (await Modern(app).ask("server/discover"))["result"]["capabilities"]
    assert found == {
        "tools": {},
        "prompts": {"listChanged": True},
        "extensions": {"a/x": {}, "b/y": {"z": 1}},
    }


async def test_where_nothing_can_stream_no_change_is_promised_and_a_subscription_ends_at_once() -> None:
    async with federation({"s": Scripted([tool("t")])}, streaming=False) as app:
        asking = Modern(app)
        assert (await asking.ask("server/discover"))["result"]["capabilities"]["tools"] == {}
        legacy = await Legacy(app).begin()
        assert (await legacy.get()).status == 405
        reply = await asking.send("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        assert "resultType" in reply.body.decode()
        assert '"notifications":{}' in reply.body.decode()


async def test_a_fresh_list_is_not_asked_for_twice_and_a_stale_one_is() -> None:
    fresh, stale = Scripted([tool("a")], ttl=60_000), Scripted([tool("b")])
    async with federation({"fresh": fresh, "stale": stale}) as app:
        for _ in range(3):
            await Modern(app).tools()
    assert len(fresh.calls("tools/list")) == 1
    assert len(stale.calls("tools/list")) == 3


async def test_a_bare_list_request_of_a_curl_is_answered_as_plain_json() -> None:
    async with federation({"s": Scripted([tool("t")])}) as app:
        reply = await Legacy(app).post(b'{"method": "tools/list"}')
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.json["result"]["tools"][0]["name"] == "t"
        assert (await Legacy(app).post(b'{"method": "tools/call"}')).status == 400


async def test_a_bare_get_says_what_to_send() -> None:
    async with federation({"s": Scripted()}) as app:
        reply = await Legacy(app).get(headers={"mcp-session-id": ""})
    assert reply.status in {404, 405}
    assert "POST" in json.loads(reply.body)["error"]["message"] or "initialize" in reply.body.decode()


async def test_a_batch_of_2025_03_26_is_answered_as_an_array() -> None:
    async with federation({"s": Scripted([tool("t")])}) as app:
        asking = await Legacy(app, version="2025-03-26").begin()
        reply = await asking.post([
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", "arguments": {}}},
            {"jsonrpc": "2.0", "method": "notifications/x"},
            {"jsonrpc": "2.0", "id": 2, "method": "ping"},
        ])  # fmt: skip
    assert sorted(each["id"] for each in reply.json) == [1, 2]


class Flaky:
    """A server that answers some requests 503, as often as it is told to."""

    def __init__(self, server: Scripted, *, failing: str, times: int = 1000) -> None:
        self.server = server
        self.failing = failing
        self.times = times
        self.tried: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        if headers.get(b"mcp-method") == self.failing.encode():
            self.tried.append(headers.get(b"mcp-name", b"").decode())
        if headers.get(b"mcp-method") != self.failing.encode() or len(self.tried) > self.times:
            await self.server(scope, receive, send)
            return
        head = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 503, "headers": head})
        await send({"type": "http.response.body", "body": b""})


RETRIED: dict[str, Any] = {"retries": Retries(max=2, backoff=0.001, tools=frozenset({"named"}))}


async def test_row_35_retries_are_for_what_is_safe_to_repeat() -> None:
    tools = [tool("safe", annotations={"idempotentHint": True}), tool("unsafe"), tool("named")]
    flaky: Any = Flaky(Scripted(tools), failing="tools/call")
    async with federation({"s": flaky}, options={"s": RETRIED}) as app:
        for name in ("safe", "unsafe", "named"):
            result = await Modern(app).call(name)
            assert result["isError"] is True
    assert flaky.tried == ["safe"] * 3 + ["unsafe"] + ["named"] * 3


async def test_row_35_retries_are_a_share_of_the_calls() -> None:
    flaky: Any = Flaky(Scripted([tool("named")]), failing="tools/call")
    async with federation({"s": flaky}, options={"s": RETRIED}) as app:
        for _ in range(100):
            await Modern(app).call("named")
    assert 100 < len(flaky.tried) <= 100 + 10 + 10 + 1


async def test_a_list_is_asked_for_again() -> None:
    flaky: Any = Flaky(Scripted([tool("t")]), failing="tools/list", times=1)
    async with federation({"s": flaky}, options={"s": RETRIED}) as app:
        assert await Modern(app).tools() == ["t"]
    assert len(flaky.tried) == 2


async def test_no_name_changes_hands_while_a_server_is_down() -> None:
    pg, my = Scripted([tool("query")]), Scripted([tool("query")])
    async with federation({"pg": pg, "my": my}, list_timeout=0.2) as app:
        assert await Modern(app).tools() == ["pg_query", "my_query"]
        my.modern = my.legacy = False
        assert await Modern(app).tools() == ["pg_query"]
        await Modern(app).call("pg_query")
        down = await Modern(app).call("my_query")
    assert len(pg.calls()) == 1
    assert "could not be called" in down["content"][0]["text"]


async def test_what_a_result_links_to_can_be_read_under_the_name_that_the_result_gives_it() -> None:
    note = {"uri": "note://1", "name": "a"}

    def resources(said: str) -> Scripted:
        async def listed(asked: Asked) -> Any:
            return {"resources": [note]}

        async def read(asked: Asked) -> Any:
            return {"contents": [{"uri": asked.params["uri"], "text": said}]}

        async def links(asked: Asked) -> Any:
            embedded = {"type": "resource", "resource": {"uri": "note://1", "text": "x"}}
            return {
                "content": [{"type": "resource_link", **note}, embedded, {"type": "text", "text": "note://1"}]
            }

        able: dict[str, Any] = {"tools": {}, "resources": {}}
        methods = {"resources/list": listed, "resources/read": read}
        return Scripted([tool("links")], run={"links": links}, methods=methods, capabilities=able)

    async with federation({"a": resources("of a"), "b": resources("of b")}, prefix="always") as app:
        for asking in (Modern(app), await Legacy(app).begin()):
            link, embedded, plain = (await asking.call("b_links"))["content"]
            assert link["uri"] == embedded["resource"]["uri"] == "b+note://1"
            assert plain["text"] == "note://1"
            [read] = (await asking.ask("resources/read", {"uri": link["uri"]}))["result"]["contents"]
            assert read == {"uri": "b+note://1", "text": "of b"}


async def test_status_names_the_tools_that_nobody_sees() -> None:
    wrong = tool("wrong", inputSchema={"type": "object", "x-mcp-header": "No"})
    servers = {"a": Scripted([tool("one")]), "b": Scripted([tool("one"), tool("two"), wrong])}
    async with federation(servers, prefix="never") as app:
        assert [(each.server, each.tools, each.hidden) for each in await app.status()] == [
            ("a", 1, ()),
            ("b", 1, ("one", "wrong")),
        ]


async def test_a_link_to_what_two_servers_have_leads_to_the_server_that_gave_it() -> None:
    def having(said: str) -> Scripted:
        async def resources(asked: Asked) -> Any:
            return {"resources": [{"uri": "x://same", "name": said}]}

        async def read(asked: Asked) -> Any:
            return {"contents": [{"uri": asked.params["uri"], "text": said}]}

        async def links(asked: Asked) -> Any:
            return {"content": [{"type": "resource_link", "uri": "x://same", "name": said}]}

        methods = {"resources/list": resources, "resources/read": read}
        capabilities = {"tools": {}, "resources": {}}
        return Scripted(
            [tool(f"link_{said}")], run={f"link_{said}": links}, methods=methods, capabilities=capabilities
        )

    async with federation({"a": having("first"), "b": having("second")}) as app:
        asking = Modern(app)
        listed = (await asking.ask("resources/list"))["result"]["resources"]
        assert [each["uri"] for each in listed] == ["x://same", "b+x://same"]
        for said in ("first", "second"):
            uri = (await asking.call(f"link_{said}"))["content"][0]["uri"]
            [contents] = (await asking.ask("resources/read", {"uri": uri}))["result"]["contents"]
            assert contents == {"uri": uri, "text": said}


async def test_no_call_waits_for_a_server_that_has_failed_and_the_next_list_has_it_again() -> None:
    now = [0.0]
    hanging = asyncio.Event()

    async def hang(asked: Asked) -> Any:
        hanging.set()
        await asyncio.Event().wait()

    bad = Scripted([tool("b")], methods={"tools/list": hang})
    servers = {"bad": bad, "good": Scripted([tool("t")])}
    async with federation(servers, options={"bad": {"timeout": 0.3}}) as app:
        catalog = Catalog(list(app.catalog.servers.values()), clock=lambda: now[0])
        call, peer = Call.new({"type": "http", "path": "", "headers": []}), Peer()
        missing = (await catalog.view(call, peer, TOOLS)).missing
        assert list(missing) == ["bad"]
        now[0] += 100.0  # the table of names and the server's rest are over
        hanging.clear()
        entry = await catalog.find(call, peer, TOOLS, "t")
        assert entry is not None
        assert not hanging.is_set()
        await asyncio.wait_for(hanging.wait(), 2)  # asked again all the same
        del bad.methods["tools/list"]
        now[0] += 100.0
        # Who asks for what is missing does wait.
        assert await catalog.find(call, peer, TOOLS, "b") is not None
