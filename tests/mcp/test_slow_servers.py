"""What is there is never said to be unknown because its server is slow, was down a moment ago, or an instance was frozen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.call import Call, Principal
from gateway.errors import UpstreamError
from gateway.identity.upstream import ClientCredentials
from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.peer import Peer
from gateway.mcp.server import Server
from gateway.mcp.sse_upstream import SseUpstream
from gateway.mcp.tables import TOOLS
from gateway.net.pool import Pool
from gateway.types import Headers
from tests.mcp.clients import Legacy, Modern, eventually, federation
from tests.mcp.servers import Asked, Scripted, served, text, tool

LISTS: dict[str, Any] = {
    "prompts/list": {"prompts": [{"name": "p"}]},
    "resources/list": {"resources": [{"uri": "note://1", "name": "n"}]},
    "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "page://{n}", "name": "pages"}]},
}
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "tools/call": ({"name": "t"}, "content"),
    "prompts/get": ({"name": "p"}, "messages"),
    "resources/read": ({"uri": "note://1"}, "contents"),
    "completion/complete": (
        {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}},
        "completion",
    ),
}
TEMPLATED = ({"uri": "page://7"}, "contents")


class Slow:
    """A server of everything that answers its lists when it is let."""

    def __init__(self, *, lists: set[str] | None = None) -> None:
        self.up = asyncio.Event()
        self.lists = lists if lists is not None else {*LISTS, "tools/list"}
        able: dict[str, Any] = {"tools": {}, "prompts": {}, "resources": {"subscribe": True}}
        self.server = Scripted([tool("t")], capabilities={**able, "completions": {}})
        self.server.run["t"] = self._run
        for method in self.lists:
            self.server.methods[method] = self._listed
        for method in LISTS.keys() - self.lists:
            self.server.methods[method] = self._at_once
        for method, (_, member) in ASKED.items():
            if method != "tools/call":
                self.server.methods[method] = lambda _, member=member: self._answer(member)

    async def _run(self, asked: Asked) -> Any:
        return text("done")

    async def _answer(self, member: str) -> Any:
        return {member: {"values": ["v"]} if member == "completion" else []}

    async def _at_once(self, asked: Asked) -> Any:
        return LISTS[asked.message["method"]]

    async def _listed(self, asked: Asked) -> Any:
        await self.up.wait()
        method = asked.message["method"]
        return LISTS.get(method) or {"tools": [tool("t")]}


@pytest.mark.parametrize("era", [Modern, Legacy])
@pytest.mark.parametrize(("method", "params", "member"), [
    *((method, *each) for method, each in ASKED.items()), ("resources/read", *TEMPLATED)
])  # fmt: skip
async def test_what_a_slow_server_has_is_waited_for_beyond_the_deadline_of_lists(
    era: Any, method: str, params: Any, member: str
) -> None:
    slow = Slow()
    servers = {"slow": slow.server, "other": Scripted([tool("u")])}
    async with federation(servers, list_timeout=0.2) as app:
        asking = era(app)
        asking = await asking.begin() if era is Legacy else asking
        assert await asking.tools() == ["u"]
        working = asyncio.create_task(asking.ask(method, params))
        await eventually(lambda: method == "tools/call" or len(slow.server.asked) > 2)
        assert (await era(app).call("u"))["content"]  # and the other's tools are not waited for
        slow.up.set()
        result = (await working)["result"]
        assert member in result
        assert "isError" not in result


async def test_all_who_come_at_once_wait_for_the_same_list() -> None:
    slow = Slow()
    async with federation({"slow": slow.server, "other": Scripted([tool("u")])}, list_timeout=0.2) as app:
        calls = [asyncio.create_task(Modern(app).call("t")) for _ in range(20)]
        await eventually(lambda: slow.server.calls("tools/list"))
        slow.up.set()
        assert [call["content"][0]["text"] for call in await asyncio.gather(*calls)] == ["done"] * 20
    assert len(slow.server.calls("tools/list")) == 1


async def test_a_client_that_leaves_ends_the_wait_of_no_other() -> None:
    slow = Slow()
    async with federation({"slow": slow.server}) as app:
        leaving = asyncio.create_task(app.catalog.find(nobody(), Peer(), TOOLS, "t"))
        staying = asyncio.create_task(app.catalog.find(nobody(), Peer(), TOOLS, "t"))
        await eventually(lambda: slow.server.calls("tools/list"))
        leaving.cancel()
        slow.up.set()
        assert await staying is not None
    assert len(slow.server.calls("tools/list")) == 1


async def test_one_list_that_is_slow_hides_nothing_of_the_others() -> None:
    slow = Slow(lists={"tools/list"})
    async with federation({"slow": slow.server, "other": Scripted([tool("u")])}, list_timeout=0.2) as app:
        assert await Modern(app).tools() == ["u"]
        for method in ("prompts/get", "resources/read"):
            params, member = ASKED[method]
            assert member in (await Modern(app).ask(method, params))["result"]


async def test_what_failed_a_moment_ago_and_is_there_again_is_found() -> None:
    back = Scripted([tool("t")], modern=False, legacy=False)
    async with federation({"back": back, "other": Scripted([tool("u")])}) as app:
        assert await Modern(app).tools() == ["u"]
        back.modern = True
        assert "isError" not in await Modern(app).call("t")
        assert await Modern(app).tools() == ["t", "u"]  # and lists have it again, too


@pytest.mark.parametrize("era", [Modern, Legacy])
async def test_while_a_server_is_down_nothing_is_said_to_be_unknown(era: Any) -> None:
    down = Scripted(modern=False, legacy=False)
    able: dict[str, Any] = {"tools": {}, "prompts": {}, "resources": {}}
    up = Scripted([tool("u")], capabilities=able, methods={})
    async with federation({"down": down, "up": up}) as app:
        result = await era(app).call("t")
        assert "Unknown" not in result["content"][0]["text"]
        assert result["_meta"]["gateway/missing"][0]["server"] == "down"
        for method in ("prompts/get", "resources/read", "completion/complete"):
            error = (await era(app).ask(method, ASKED[method][0]))["error"]
            assert error["code"] == -32603
            assert error["data"]["gateway/missing"][0]["server"] == "down"
        down.modern = True
        assert (await era(app).call("t"))["content"][0]["text"] == "Unknown tool: t"


async def test_what_is_hidden_answers_like_what_is_not_there_while_a_server_is_down() -> None:
    down, up = Scripted(modern=False, legacy=False), Scripted([tool("seen"), tool("shut")])
    options = {"up": {"allow": frozenset({"seen"})}}
    async with federation({"down": down, "up": up}, options=options) as app:
        await Modern(app).tools()
        answers = [json.dumps(await Modern(app).call(name)) for name in ("shut", "none")]
        assert answers[0].replace("shut", "none") == answers[1]


@pytest.mark.parametrize("hangs", ["server/discover", "initialize"])
async def test_a_server_that_hangs_delays_the_begin_of_a_session_by_one_deadline(hangs: str) -> None:
    async def hang(asked: Asked) -> Any:
        await asyncio.Event().wait()

    bad = Scripted(modern=hangs == "server/discover", methods={hangs: hang})
    async with federation({"bad": bad, "good": Scripted([tool("u")])}, list_timeout=0.3) as app:
        clock = asyncio.get_running_loop().time
        began = clock()
        await Legacy(app).begin()
        once = clock()
        assert once - began < 0.55
        assert await Legacy(app).tools() == ["u"]
        assert (await Modern(app).ask("server/discover"))["result"]
        assert clock() - once < 0.25


@pytest.mark.parametrize("method", ["initialize", "server/discover"])
async def test_a_server_that_greets_slower_than_a_list_may_wait_is_known_in_the_end(method: str) -> None:
    up = asyncio.Event()
    slow = Scripted([tool("t")], modern=method == "server/discover")

    async def greet(asked: Asked) -> Any:
        await up.wait()
        return slow._known(method, asked.params)

    slow.methods[method] = greet
    async with federation({"slow": slow}, list_timeout=0.1) as app:
        for _ in range(3):
            await Legacy(app).begin()
        assert len(slow.calls(method)) == 1  # and not one more whenever somebody gives up
        up.set()
        upstream = app.catalog.servers["slow"].upstream
        assert (await upstream.hello(nobody(), Peer())).capabilities
        assert len(slow.calls(method)) == 1


async def test_a_server_that_begins_its_sessions_slowly_is_not_left_alone_for_it() -> None:
    up = asyncio.Event()
    slow = Scripted([tool("t")], modern=False)

    async def greet(asked: Asked) -> Any:
        await up.wait()
        return slow._known("initialize", asked.params)

    async with federation({"slow": slow}, list_timeout=0.3) as app:
        assert await (await Legacy(app).begin()).tools() == ["t"]
        slow.methods["initialize"] = greet
        late = await Legacy(app).begin()
        listing = asyncio.create_task(late.tools())
        # That of the list, behind the one that was given up.
        await eventually(lambda: len(slow.calls("initialize")) == 4)
        up.set()
        assert await listing == ["t"]


async def test_calls_that_wait_for_the_same_session_wait_at_the_same_time() -> None:
    async def hang(asked: Asked) -> Any:
        await asyncio.Event().wait()

    slow = Scripted([tool("t")], modern=False)
    async with federation({"slow": slow}, options={"slow": {"timeout": 0.4}}, list_timeout=0.1) as app:
        await app.warm()
        slow.methods["initialize"] = hang
        late = await Legacy(app).begin()
        clock = asyncio.get_running_loop().time
        began = clock()
        said = await asyncio.gather(*(late.call("t") for _ in range(6)))
        assert {each["content"][0]["text"] for each in said} == {
            "The tool could not be called: it did not answer in time."
        }
        assert clock() - began < 1.6  # and not 2.4


class OldAndSilent:
    """A server of 2024-11-05 that opens its streams, and answers nothing."""

    def __init__(self) -> None:
        self.open = self.opened = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        stream = scope["method"] == "GET"
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200 if stream else 202, "headers": head})
        if stream:
            self.open, self.opened = self.open + 1, self.opened + 1
            endpoint = b"event: endpoint\ndata: /messages\n\n"
            await send({"type": "http.response.body", "body": endpoint, "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.open -= 1
        await send({"type": "http.response.body", "body": b""})


async def test_a_stream_is_not_opened_again_whenever_somebody_gives_up_waiting_for_it() -> None:
    pool, silent = Pool(proxies=None), OldAndSilent()
    async with served(silent) as url:
        app = MCPApp([Server(SseUpstream("old", url, client=pool))], list_timeout=0.1)
        for _ in range(3):
            await Legacy(app).begin()
        assert (silent.open, silent.opened) == (1, 1)
        await app.close()
        await eventually(lambda: silent.open == 0)
        await pool.close()


async def test_no_session_begins_later_because_another_server_hangs() -> None:
    async def hang(asked: Asked) -> Any:
        await asyncio.Event().wait()

    bad = Scripted(methods={"server/discover": hang})
    slow = Scripted([tool("t")], modern=False, methods={"initialize": hang})
    async with federation({"bad": bad, "slow": slow}, list_timeout=0.3) as app:
        clock = asyncio.get_running_loop().time
        began = clock()
        await Legacy(app).begin()
        assert clock() - began < 0.55


class TurnedAway:
    """The gateway's credential for the first caller is refused, while others wait."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()

    async def headers(self, call: Call) -> Headers:
        if call.principal.id == "bad":
            await self.waiting.wait()
            raise UpstreamError("no token for you")
        return []


async def test_who_waits_for_a_greeting_that_fails_for_another_caller_greets_for_itself() -> None:
    auth = TurnedAway()
    async with serving(Scripted([tool("t")]), auth=auth, per_caller=True) as app:

        def hello(name: str) -> asyncio.Task[Any]:
            call = nobody()
            call.principal = Principal(name, "key")
            return asyncio.create_task(app.catalog.servers["s"].upstream.hello(call, Peer()))

        bad, good = hello("bad"), [hello("good") for _ in range(3)]
        await asyncio.sleep(0)
        auth.waiting.set()
        with pytest.raises(UpstreamError):
            await bad
        assert all(each.modern for each in await asyncio.gather(*good))


@pytest.mark.parametrize("method", ["initialize", "server/discover"])
async def test_while_a_server_is_missing_what_it_may_have_is_offered(method: str) -> None:
    down = Scripted(modern=False, legacy=False)
    async with federation({"down": down, "up": Scripted([tool("u")])}) as app:
        era: Any = Legacy if method == "initialize" else Modern
        found = (await era(app).ask(method, {"protocolVersion": "2025-11-25", "capabilities": {}}))["result"]
        assert found["capabilities"].keys() >= {"tools", "prompts", "resources"}


async def test_no_client_is_told_where_a_server_is() -> None:
    pool = Pool(proxies=None)
    app = MCPApp([Server(HttpUpstream("s", "http://127.0.0.1:9/secret", client=pool))])
    begun = await (await Legacy(app).begin()).ask("tools/list")
    discovered = await Modern(app).ask("server/discover")
    listed = (await Modern(app).ask("tools/list"))["result"]
    called = await Modern(app).call("t")
    told = json.dumps([begun, discovered, listed, called])
    assert listed["_meta"]["gateway/missing"] == [{"server": "s", "reason": "it cannot be reached"}]
    assert "127.0.0.1" not in told
    assert "secret" not in told
    assert "127.0.0.1" in (await app.status())[0].error  # the operator is
    await app.close()
    await pool.close()


@pytest.mark.parametrize(("status", "said"), [(400, "answers 400: invalid_client"), (0, "cannot be reached")])
async def test_no_client_is_told_where_the_credential_of_a_server_comes_from(status: int, said: str) -> None:
    async def endpoint(request: httpx.Request) -> httpx.Response:
        if not status:
            raise httpx.ConnectError("refused by 10.0.0.7")
        return httpx.Response(status, json={"error": "invalid_client"})

    auth = ClientCredentials(
        token_url="https://idp.internal.example/token",
        client_id="gw",
        client_secret="s3cret",
        transport=httpx.MockTransport(endpoint),
    )
    async with serving(Scripted([tool("t")]), auth=auth) as app:
        listed = (await Modern(app).ask("tools/list"))["result"]
        told = json.dumps([listed, await Modern(app).call("t")])
        assert said in listed["_meta"]["gateway/missing"][0]["reason"]
        assert not any(word in told for word in ("internal.example", "10.0.0.7", "s3cret"))


async def test_who_a_server_turns_away_takes_it_from_nobody_else() -> None:
    class Own:
        async def headers(self, call: Call) -> Headers:
            return [(b"authorization", call.principal.id.encode())]

    server = Scripted([tool("t")], modern=True)

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if dict(scope["headers"])[b"authorization"] == b"bad":
            server.modern = server.legacy = False
        await server(scope, receive, send)
        server.modern = server.legacy = True

    async with serving(guarded, auth=Own(), per_caller=True) as app:

        def as_(name: str) -> Modern:
            def prepare(call: Call) -> None:
                call.principal = Principal(name, "key")

            return Modern(app, prepare=prepare)

        assert await as_("good").tools() == ["t"]
        assert await as_("bad").tools() == []
        assert await as_("other").tools() == ["t"]


@asynccontextmanager
async def serving(served_app: Any, **options: Any) -> AsyncIterator[MCPApp]:

    pool = Pool(proxies=None)
    async with served(served_app) as url:
        yield MCPApp([Server(HttpUpstream("s", url, client=pool, **options))])
        await pool.close()


def nobody() -> Call:
    return Call.new({"type": "http", "path": "", "headers": []})


class Freezing(asyncio.SelectorEventLoop):
    """As an instance of Lambda: between two requests time goes on, and nothing else does."""

    frozen = 0.0

    def time(self) -> float:
        return super().time() + self.frozen


def test_what_was_under_way_when_an_instance_was_frozen_is_asked_for_again() -> None:
    loop = Freezing()
    slow = Slow()

    async def begin() -> tuple[Any, MCPApp]:
        servers = {"slow": slow.server, "other": Scripted([tool("u")])}
        opened = federation(servers, options={"slow": {"timeout": 10.0}}, list_timeout=0.2)
        app = await opened.__aenter__()
        assert await Modern(app).tools() == ["u"]
        return opened, app

    opened, app = loop.run_until_complete(begin())
    loop.frozen += 100.0

    async def resume() -> None:
        slow.up.set()
        assert "isError" not in await Modern(app).call("t")
        assert await Modern(app).tools() == ["t", "u"]
        await app.close()
        await opened.__aexit__(None, None, None)

    loop.run_until_complete(resume())
    loop.close()
