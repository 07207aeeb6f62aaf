"""Policies around each operation: what is hidden, what is refused with its reason, what is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.call import Attribution, Call, Operation, Principal
from gateway.errors import Refused, StoreError
from gateway.mcp.pins import Pins
from gateway.mcp.server import Agent, Scope
from gateway.mcp.tables import Entry
from gateway.policies import Policies
from gateway.policy.authorization import Authorization
from gateway.refusals import Refusal, forbidden
from gateway.stores.memory import MemoryStore
from tests.mcp.clients import Legacy, Modern, events, federation
from tests.mcp.servers import Asked, Scripted, text, tool


@dataclass
class Limiter:
    """Reserves, and remembers that what was reserved was settled once."""

    refuse: bool = False
    reserved: int = 0
    settled: int = 0

    async def reserve(self, call: Call, op: Operation) -> Limiter:
        if self.refuse:
            raise Refused(Refusal(429, "rate_limit_error", "wait a little", "ratelimit", retry_after=3.0))
        self.reserved += 1
        return self

    async def settle(self, usage: Any, usd: Any) -> None:
        self.settled += 1


@dataclass
class Meter:
    records: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    at_once: bool = False

    def record(
        self, call: Call, op: Operation, outcome: str, *, refusal: Refusal | None = None, **rest: Any
    ) -> Any:
        self.records.append((op.server, op.name, op.exposed, outcome, refusal.policy if refusal else ""))


@dataclass
class Guard:
    """Masks `secret`, refuses `bad`, hides what is described as evil."""

    reads_arguments: bool = True
    reads_results: bool = True

    async def arguments(self, call: Call, op: Operation) -> Any:
        said = json.dumps(op.arguments)
        if "bad" in said:
            raise Refused(forbidden("that is bad; say it differently", policy="guard"))
        return json.loads(said.replace("secret", "***")) if "secret" in said else op.arguments

    async def result(self, call: Call, op: Operation, result: Any) -> Any:
        said = json.dumps(result)
        return json.loads(said.replace("secret", "***")) if "secret" in said else result

    async def definitions(
        self, call: Call, tools: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Any]]:
        kept = [each for each in tools if "evil" not in str(each.get("description"))]
        return tools if len(kept) == len(tools) else kept


def under(**policies: Any) -> Callable[[Call], None]:
    def prepare(call: Call) -> None:
        call.policies = Policies(**policies)

    return prepare


@pytest.mark.parametrize("era", [Modern, Legacy])
async def test_a_hidden_tool_is_not_listed_and_answers_exactly_like_an_unknown_one(era: Any) -> None:
    server = Scripted([tool("open"), tool("shut")])
    rules = under(authz=Authorization(deny=['mcp.tool.name == "shut"']))
    async with federation({"s": server}) as app:
        asking = era(app, prepare=rules)
        assert await asking.tools() == ["open"]
        hidden = await asking.ask("tools/call", {"name": "shut", "arguments": {"x": 1}}, id=9)
        unknown = await asking.ask("tools/call", {"name": "none", "arguments": {"x": 1}}, id=9)
    assert json.dumps(hidden).replace("shut", "none") == json.dumps(unknown)
    assert server.calls() == []


async def test_a_visible_tool_refused_for_its_arguments_says_which_policy_and_what_to_do() -> None:
    rules = under(authz=Authorization(deny=['mcp.tool.arguments.path == "/etc/passwd"']))
    async with federation({"s": Scripted([tool("read")])}) as app:
        asking = Modern(app, prepare=rules)
        assert await asking.tools() == ["read"]
        refused = await asking.call("read", {"path": "/etc/passwd"})
        assert (await asking.call("read", {"path": "/ok"})).get("isError") is None
    assert refused["isError"] is True
    assert refused["content"][0]["text"].startswith("Refused by authz: ")


async def test_a_missing_oauth_scope_is_a_403_with_its_challenge() -> None:
    rules = under(authz=Authorization(scopes={"t": ["write:all"]}))
    async with federation({"s": Scripted([tool("t")])}) as app:
        assert await Modern(app, prepare=rules).tools() == ["t"]
        reply = await Modern(app, prepare=rules).send("tools/call", {"name": "t", "arguments": {"a": 1}})
    assert reply.status == 403
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]


async def test_a_guard_masks_on_the_way_in_and_out_refuses_and_hides() -> None:
    async def leak(asked: Asked) -> Any:
        return text("the secret", structuredContent={"seen": asked.params["arguments"]})

    server = Scripted([tool("t"), tool("x", description="evil")], run={"t": leak})
    async with federation({"s": server}) as app:
        asking = Modern(app, prepare=under(guard=Guard()))
        assert await asking.tools() == ["t"]
        result = await asking.call("t", {"q": "my secret"})
        assert result["content"][0]["text"] == "the ***"
        assert result["structuredContent"] == {"seen": {"q": "my ***"}}
        assert "Refused by guard" in (await asking.call("t", {"q": "bad"}))["content"][0]["text"]
        assert (await asking.call("x"))["content"][0]["text"] == "Unknown tool: x"
    assert len(server.calls()) == 1


async def test_a_limit_refuses_with_a_result_that_says_when_to_come_again() -> None:
    async with federation({"s": Scripted([tool("t")])}) as app:
        result = await Modern(app, prepare=under(ratelimit=Limiter(refuse=True))).call("t")
    assert result["isError"] is True
    assert result["_meta"]["gateway/refusal"] == {
        "policy": "ratelimit",
        "kind": "rate_limit_error",
        "retryAfter": 3.0,
    }


async def test_every_call_is_settled_once_and_recorded_with_what_became_of_it() -> None:
    async def hang(asked: Asked) -> Any:
        await asyncio.Event().wait()

    async def fails(asked: Asked) -> Any:
        return text("no", isError=True)

    server = Scripted(
        [tool("ok"), tool("fails"), tool("hangs"), tool("shut")], run={"hangs": hang, "fails": fails}
    )
    limiter, meter = Limiter(), Meter()
    rules = under(ratelimit=limiter, usage=meter, authz=Authorization(deny=['mcp.tool.name == "shut"']))
    async with federation(
        {"s": server, "o": Scripted()}, prefix="always", options={"s": {"timeout": 0.1}}
    ) as app:
        asking = Modern(app, prepare=rules)
        for name in ("ok", "fails", "hangs", "shut"):
            await asking.call(f"s_{name}")
    assert [record[3] for record in meter.records] == ["ok", "tool_error", "timeout", "refused"]
    assert meter.records[0][:3] == ("s", "ok", "s_ok")
    assert meter.records[3][4] == "authz"
    assert (limiter.reserved, limiter.settled) == (3, 3)


async def test_allow_lists_hold_by_either_name_and_an_agent_only_narrows_them() -> None:
    agents = {"claude-code": Agent(allow=frozenset({"read"})), "other": Agent()}
    options = {"fs": {"prefix": "fs_", "allow": frozenset({"read", "fs_write"}), "agents": agents}}

    def agent(name: str, unverified: frozenset[str] = frozenset()) -> Callable[[Call], None]:
        def prepare(call: Call) -> None:
            call.attribution = Attribution(agent=name, unverified=unverified)

        return prepare

    server = Scripted([tool("read"), tool("write"), tool("delete")])
    async with federation({"fs": server}, options=options) as app:
        assert await Modern(app, prepare=agent("claude-code")).tools() == ["fs_read"]
        assert await Modern(app, prepare=agent("other")).tools() == ["fs_read", "fs_write"]
        assert await Modern(app, prepare=agent("unlisted")).tools() == []
        assert (
            "Unknown tool"
            in (await Modern(app, prepare=agent("unlisted")).call("fs_read"))["content"][0]["text"]
        )
    options["fs"]["agents"] = {"claude-code": Agent(verified=True)}
    async with federation({"fs": server}, options=options) as app:
        assert await Modern(app, prepare=agent("claude-code", frozenset({"agent"}))).tools() == []
        assert await Modern(app, prepare=agent("claude-code")).tools() == ["fs_read", "fs_write"]


@pytest.mark.parametrize("enforce", [True, False])
async def test_paths_outside_of_the_scope_are_refused_or_only_noted(enforce: bool) -> None:
    noted: list[Any] = []

    def prepare(call: Call) -> None:
        call.verdicts = noted

    server = Scripted([tool("read")])
    scope = Scope(path_prefix="/workspace/", deny_paths=("/workspace/.env",))
    async with federation({"fs": server}, options={"fs": {"scope": scope, "enforce": enforce}}) as app:
        asking = Modern(app, prepare=prepare)
        assert (await asking.call("read", {"path": "/workspace/a.txt"})).get("isError") is None
        result = await asking.call("read", {"deep": [{"filePath": "/workspace/../etc/passwd"}]})
    assert bool(result.get("isError")) is enforce
    assert [verdict.action for verdict in noted] == ["refuse" if enforce else "would_refuse"]
    if enforce:
        assert "Refused by scope" in result["content"][0]["text"]
    assert len(server.calls()) == (1 if enforce else 2)


async def test_an_oversized_result_arrives_cut_valid_and_marked() -> None:
    rows = [{"id": n} for n in range(50)]

    async def many(asked: Asked) -> Any:
        return text(json.dumps(rows), structuredContent={"rows": rows})

    async with federation(
        {"pg": Scripted([tool("q")], run={"q": many})}, options={"pg": {"max_rows": 10}}
    ) as app:
        result = await Modern(app).call("q")
    assert json.loads(result["content"][0]["text"]) == rows[:10]
    assert result["structuredContent"] == {"rows": rows[:10]}
    assert result["_meta"]["gateway/truncated"] == {"rows": 10, "of": 50}
    assert "10 of 50" in result["content"][-1]["text"]


async def test_row_28_a_changed_definition_is_held_back_until_it_is_approved() -> None:
    from gateway.mcp import pins

    store = MemoryStore()
    server = Scripted([tool("a"), tool("b")])
    async with federation({"s": server}, pins="trust-first", store=store) as app:
        asking = Modern(app)
        assert await asking.tools() == ["a", "b"]
        server.tools[0]["description"] = "now does something else"
        assert await asking.tools() == ["b"]
        held = await asking.call("a")
        said = held["content"][0]["text"]
        assert said.startswith("Refused by pins: the tool a is held back, because its definition has changed")
        assert "`gateway pins diff s/a`" in said
        assert "`gateway pins approve s/a`" in said
        [difference] = await pins.differences(store)
        assert (difference.tool, difference.pinned["description"]) == ("a", "does a")  # type: ignore[index]
        await pins.approve(store, [difference], at=0.0)
    async with federation({"s": server}, pins="trust-first", store=store) as app:
        assert await Modern(app).tools() == ["a", "b"]
    assert len(server.calls()) == 0


async def test_instances_that_see_a_tool_first_at_the_same_moment_both_trust_it() -> None:
    class Slow:
        """A store that is further away: who asks at the same moment gets the same answer."""

        def __init__(self) -> None:
            self.near = MemoryStore()
            self.put, self.delete, self.list = self.near.put, self.near.delete, self.near.list

        async def get(self, kind: str, key: str) -> Any:
            found = await self.near.get(kind, key)
            await asyncio.sleep(0)
            return found

    store: Any = Slow()
    entry = Entry("s", "a", "a", b"", tool("a"))
    both = [Pins(store, mode="trust-first") for _ in range(2)]
    assert await asyncio.gather(*(each.held(entry) for each in both)) == ["", ""]


async def test_row_28_with_approve_nothing_is_seen_before_an_operator_has_seen_it() -> None:
    from gateway.mcp import pins

    store = MemoryStore()
    async with federation({"s": Scripted([tool("a")])}, pins="approve", store=store) as app:
        assert await Modern(app).tools() == []
        await pins.approve(store, await pins.differences(store), at=0.0)
    async with federation({"s": Scripted([tool("a")])}, pins="approve", store=store) as app:
        assert await Modern(app).tools() == ["a"]


async def test_searching_shows_two_tools_and_judges_the_inner_call_like_any_other() -> None:
    many = [tool(f"noise_{n}") for n in range(30)]
    server = Scripted([*many, tool("read_file", description="Reads a file from the disk"), tool("shut")])
    meter = Meter()
    rules = under(authz=Authorization(deny=['mcp.tool.name == "shut"']), usage=meter)
    async with federation({"fs": server}, disclosure="search", options={"fs": {"prefix": "fs_"}}) as app:
        asking = Modern(app, prepare=rules)
        assert await asking.tools() == ["search_tools", "call_tool"]
        found = json.loads(
            (await asking.call("search_tools", {"query": "reading files"}))["content"][0]["text"]
        )
        assert found[0]["name"] == "fs_read_file"
        shut = await asking.call("search_tools", {"query": "shut"})
        assert "fs_shut" not in shut["content"][0]["text"]
        result = await asking.call("call_tool", {"name": "fs_read_file", "arguments": {"path": "x"}})
        assert result["content"][0]["text"] == '{"path": "x"}'
        assert "Unknown tool" in (await asking.call("call_tool", {"name": "fs_shut"}))["content"][0]["text"]
    assert server.calls()[0].headers["mcp-name"] == "read_file"
    assert [record[1] for record in meter.records] == ["read_file", "shut"]


async def test_another_principals_session_is_no_session() -> None:
    def as_(name: str) -> Callable[[Call], None]:
        def prepare(call: Call) -> None:
            call.principal = Principal(name, "key")

        return prepare

    async with federation({"s": Scripted([tool("t")])}) as app:
        mine = await Legacy(app, prepare=as_("key:a")).begin()
        assert await mine.tools() == ["t"]
        mine.prepare = as_("key:b")
        assert (await mine.send("tools/list")).status == 404


async def test_the_credential_upstream_is_the_gateways_own_and_the_clients_never_arrives() -> None:
    class Own:
        async def headers(self, call: Call) -> list[tuple[bytes, bytes]]:
            return [(b"authorization", b"Bearer ours")]

    server = Scripted([tool("t")])
    async with federation({"s": server}, options={"s": {"auth": Own()}}) as app:
        headers = {"authorization": "Bearer theirs", "cookie": "a=b", "x-api-key": "theirs"}
        await Modern(app).call("t", headers=headers)
        await (await Legacy(app).begin()).call("t", headers=headers)
    for asked in server.asked:
        assert asked.headers["authorization"] == "Bearer ours"
        assert not {"cookie", "x-api-key"} & set(asked.headers)


@pytest.mark.parametrize("by", ["a rule", "the scope"])
async def test_what_may_not_be_read_cannot_be_followed_in_either_era(by: str) -> None:
    uris = ["file:///shut/a", "file:///open/a"]

    async def resources(asked: Asked) -> Any:
        return {"resources": [{"uri": uri, "name": "r"} for uri in uris]}

    async def listens(asked: Asked) -> Any:
        meta = {"io.modelcontextprotocol/subscriptionId": asked.message["id"]}
        given = {"_meta": meta, "notifications": asked.params["notifications"]}
        await asked.notify("notifications/subscriptions/acknowledged", given)
        return {}

    methods = {"resources/list": resources, "resources/subscribe": resources, "subscriptions/listen": listens}
    server = Scripted(methods=methods, capabilities={"resources": {"subscribe": True}})
    deny = [f'mcp.resource.name == "{uris[0]}"'] if by == "a rule" else []
    scope = Scope(path_prefix="/open/") if by == "the scope" else Scope()
    async with federation({"s": server}, options={"s": {"scope": scope}}) as app:
        rules = under(authz=Authorization(deny=deny))
        legacy = await Legacy(app, prepare=rules).begin()
        assert "error" in await legacy.ask("resources/subscribe", {"uri": uris[0]})
        assert "result" in await legacy.ask("resources/subscribe", {"uri": uris[1]})
        wanted = {"notifications": {"resourceSubscriptions": uris}}
        reply = await Modern(app, prepare=rules).send("subscriptions/listen", wanted)
        assert events(reply)[0]["params"]["notifications"] == {"resourceSubscriptions": uris[1:]}
    assert uris[0] not in json.dumps([each.message for each in server.asked])


async def test_what_is_hidden_can_be_neither_read_nor_completed() -> None:
    async def listed(asked: Asked) -> Any:
        return {"prompts": [{"name": "shut"}]}

    async def resources(asked: Asked) -> Any:
        return {"resources": [{"uri": "x://shut", "name": "r"}]}

    methods = {"prompts/list": listed, "resources/list": resources}
    server = Scripted(
        methods=methods,
        capabilities={"prompts": {}, "resources": {"subscribe": True}, "completions": {}},
        modern=False,
    )
    rules = under(authz=Authorization(deny=['mcp.prompt.name == "shut"', 'mcp.resource.name == "x://shut"']))
    async with federation({"s": server}) as app:
        client = await Legacy(app, prepare=rules).begin()
        ref = {"ref": {"type": "ref/prompt", "name": "shut"}, "argument": {"name": "a", "value": "b"}}
        assert (await client.ask("completion/complete", ref))["error"]["code"] == -32602
        assert (await client.ask("prompts/get", {"name": "shut"}))["error"]["code"] == -32602
        assert (await client.ask("resources/read", {"uri": "x://shut"}))["error"]["code"] == -32002
        assert (await client.ask("resources/subscribe", {"uri": "x://shut"}))["error"]["code"] == -32002
    assert not {"completion/complete", "prompts/get", "resources/read", "resources/subscribe"} & {
        asked.message["method"] for asked in server.asked
    }


async def test_a_tool_that_is_held_because_the_store_does_not_answer_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Away(MemoryStore):
        async def get(self, kind: str, key: str) -> Any:
            raise StoreError("away")

    async with federation({"s": Scripted([tool("a")])}, pins="trust-first", store=Away()) as app:
        assert await Modern(app).tools() == []
    assert "s: the pin of 'a' cannot be read, so it is held: away" in caplog.messages
