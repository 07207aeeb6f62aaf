"""What each tool is found to cost, from the bodies that a coding agent sends."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.errors import StoreError, Unwritable
from gateway.metering import toolcost
from gateway.metering.conversation import Stretch
from gateway.metering.definitions import Definitions
from gateway.metering.prices import MILLION, Prices
from gateway.metering.prompt import Prompt, Reader
from gateway.metering.usage import Usage
from gateway.stores.memory import MemoryStore
from gateway.telemetry.toolcosts import ToolCosts, ToolTotal, totals
from tests.telemetry.calls import MODEL, call

READ = {"name": "mcp__fs__read", "description": "r" * 380, "input_schema": {"type": "object"}}
GREP = {"name": "Grep", "description": "g" * 180, "input_schema": {"type": "object"}}


def anthropic(**changes: Any) -> bytes:
    body = {
        "model": "claude-opus-4-5",
        "tools": [READ, GREP],
        "system": "s" * 500,
        "messages": [
            {"role": "user", "content": "read it"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I will."},
                    {"type": "tool_use", "id": "t1", "name": "mcp__fs__read", "input": {"path": "/a"}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "c" * 2000}],
            },
        ],
    }
    return orjson.dumps(body | changes)


RATES = (1.0, 20.0, 12.5, 10.0, 50.0)  # dollars per million: read, written 1h, written, fresh, output


def prompt(body: bytes) -> Prompt:
    found = Reader().read(body)
    assert found is not None
    return found


def billed(body: bytes, usage: Usage) -> toolcost.Bill:
    found = toolcost.bill(prompt(body), usage, RATES)
    assert found is not None
    return found


def test_definitions_and_results_are_laid_at_the_tools_that_brought_them() -> None:
    found = prompt(anthropic())
    assert list(found.definitions.sizes) == ["mcp__fs__read", "Grep"]
    assert found.new.tools["mcp__fs__read"] > 4 * found.definitions.sizes["mcp__fs__read"] > 0
    assert "Grep" not in found.new.tools
    assert found.old == Stretch(len("read it"))


def test_what_was_read_from_the_cache_falls_to_the_parts_that_stand_first() -> None:
    found = billed(anthropic(), Usage(input=100, cache_read=500, cache_write=400))
    per_byte = found.tokens / MILLION
    assert found.definitions == pytest.approx(RATES[0] * per_byte)
    assert RATES[0] * per_byte < found.new < RATES[2] * per_byte


def test_a_deferred_tool_costs_nothing_until_the_search_finds_it() -> None:
    deferred = {**READ, "defer_loading": True}
    hidden = prompt(anthropic(tools=[deferred, GREP], messages=[]))
    assert list(hidden.definitions.sizes) == ["Grep"]
    assert hidden.brought(hidden.new) == []
    references = [{"type": "tool_reference", "tool_name": "mcp__fs__read"}]
    answer = {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t0", "name": "ToolSearch", "input": {}}],
    }
    result = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "t0", "content": references}],
    }
    found = prompt(anthropic(tools=[deferred, GREP], messages=[answer, result]))
    brought = [("mcp__fs__read", len(orjson.dumps(deferred)))]
    assert found.brought(found.new) == brought
    later = prompt(anthropic(tools=[deferred, GREP], messages=[answer, result, answer, result]))
    assert (later.brought(later.old), later.brought(later.new)) == (brought, [])


def test_an_image_counts_as_an_image_and_not_as_its_bytes() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "mcp__fs__read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1",
                                      "content": [{"type": "image", "source": source}]}]},
    ]  # fmt: skip
    assert prompt(anthropic(messages=messages)).new.size < 8000


def test_openai_chat_bodies_are_read_as_well() -> None:
    body = orjson.dumps(
        {
            "tools": [{"type": "function", "function": {"name": "mcp__fs__read", "parameters": {}}}],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "mcp__fs__read", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "x" * 900},
            ],
        }
    )  # fmt: skip
    assert prompt(body).new.tools["mcp__fs__read"] > 900
    assert prompt(body).called == ["mcp__fs__read"]


def test_only_the_last_turns_calls_are_new() -> None:
    first = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t0", "name": "Grep", "input": {}}]}
    ]
    later = orjson.loads(anthropic())["messages"]
    assert prompt(anthropic(messages=first + later)).called == ["mcp__fs__read"]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"messages": 1}', b'{"messages": [{"content": [1]}]}', b"\xff"]
)
def test_what_is_no_prompt_is_left_alone(body: bytes) -> None:
    assert Reader().read(body) is None


@given(
    sizes=st.tuples(*[st.integers(0, 90_000)] * 4),
    usage=st.builds(Usage, *[st.integers(0, 200_000)] * 5),
)
def test_what_is_laid_over_a_prompt_is_what_was_billed(sizes: tuple[int, ...], usage: Usage) -> None:
    definitions, system, old, new = sizes
    found = toolcost.bill(
        Prompt(Definitions(b"", {"a": definitions}, {}, definitions), system, Stretch(old), Stretch(new), ()),
        usage,
        RATES,
    )
    if not sum(sizes) or not usage.prompt:
        assert found is None
        return
    assert found is not None
    paid = definitions * found.definitions + old * found.old + new * found.new
    read, hour, write, fresh, _ = RATES
    bill = (
        usage.cache_read * read
        + usage.cache_write_1h * hour
        + usage.cache_write * write
        + usage.input * fresh
    ) / MILLION
    assert found.tokens * sum(sizes) == pytest.approx(usage.prompt)
    assert paid <= bill * (1 + 1e-9)
    if not system:
        assert paid == pytest.approx(bill)


BLOCKS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=20)),
        st.builds(
            lambda id, name: {"type": "tool_use", "id": id, "name": name, "input": {}},
            st.sampled_from(["t1", "t2", "t3"]), st.sampled_from(["Grep", "mcp__fs__read"]),
        ),
        st.builds(
            lambda id, content: {"type": "tool_result", "tool_use_id": id, "content": content},
            st.sampled_from(["t1", "t2", "t3"]), st.sampled_from(["ok", [{"type": "tool_reference", "tool_name": "Late"}]]),
        ),
    ),
    max_size=3,
)  # fmt: skip
MESSAGES = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant"]),
        st.one_of(st.text(max_size=10), BLOCKS),
    ),
    max_size=12,
)
LATE = {"name": "Late", "defer_loading": True}


@settings(max_examples=300)
@given(
    messages=MESSAGES,
    turns=st.lists(
        st.tuples(
            st.integers(0, 12),
            st.sampled_from([0, 30, 300]),
            st.sampled_from([[READ, LATE, GREP], [GREP, LATE], []]),
        ),
        max_size=6,
    ),
    order=st.permutations(["tools", "system", "messages", "model"]),
    indent=st.booleans(),
)
def test_a_conversation_that_was_seen_before_reads_as_one_that_was_not(
    messages: list[dict[str, Any]],
    turns: list[tuple[int, int, list[dict[str, Any]]]],
    order: list[str],
    indent: bool,
) -> None:
    """Whether it grows, is sent again, or goes back and takes another way, with what stands around it changed or not."""
    remembering = Reader()
    for end, system, tools in turns:
        whole = {
            "tools": tools,
            "system": "s" * system,
            "messages": messages[:end],
            "model": "claude",
        }
        body = orjson.dumps(
            {name: whole[name] for name in order}, option=orjson.OPT_INDENT_2 if indent else 0
        )
        known, fresh = remembering.read(body, "session"), Reader().read(body)
        assert known is not None
        assert fresh is not None
        assert known.definitions.sizes == fresh.definitions.sizes
        assert known.system == fresh.system
        assert (known.old, known.new, known.called) == (fresh.old, fresh.new, fresh.called)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mcp__fs__read_file", ("fs", "read_file")),
        ("mcp__fs__a__b", ("fs", "a__b")),
        ("Bash", ("", "Bash")),
        ("mcp__odd", ("", "mcp__odd")),
    ],
)
def test_claude_codes_names_say_server_and_tool(name: str, expected: tuple[str, str]) -> None:
    assert toolcost.split(name) == expected


async def costs(*bodies: bytes, usage: Usage | None = None) -> list[ToolTotal]:
    observer, store = ToolCosts(Prices()), MemoryStore()
    for body in bodies:
        seen = call(MODEL, body=body)
        seen.records[0].usage = usage or Usage(input=1000)
        observer.finished(seen)
        await observer.save(store)
    observer.close()
    return await totals(store, since="1970-01-01", until="1970-01-02")


async def test_costs_add_up_by_day_and_a_tool_that_is_never_called_shows() -> None:
    found = {total.tool: total for total in await costs(anthropic(), anthropic())}
    assert found["read"].server == "fs"
    assert found["read"].cost.requests == 2
    assert found["read"].cost.calls == 2
    assert found["read"].last_called == "1970-01-01"
    assert found["read"].cost.usd > found["Grep"].cost.usd > 0
    assert (found["Grep"].cost.calls, found["Grep"].last_called) == (0, "")


async def test_a_cached_definition_costs_a_tenth_of_a_fresh_one() -> None:
    (fresh,) = [t for t in await costs(anthropic()) if t.tool == "Grep"]
    (cached,) = [t for t in await costs(anthropic(), usage=Usage(cache_read=1000)) if t.tool == "Grep"]
    assert cached.cost.definition_usd == pytest.approx(fresh.cost.definition_usd / 10)


async def test_costs_wait_while_the_store_is_away() -> None:
    class Away(MemoryStore):
        async def put(self, *args: Any, **options: Any) -> bool:
            raise StoreError("away")

    observer, store = ToolCosts(Prices()), MemoryStore()
    observer.finished(call(MODEL, body=anthropic()))
    await observer.save(Away())
    observer.finished(call(MODEL, body=anthropic()))
    await observer.save(store)
    observer.close()
    found = {total.tool: total for total in await totals(store, since="1970-01-01", until="1970-01-02")}
    assert found["read"].cost.requests == 2


async def test_costs_wait_while_others_write_the_same_day_all_the_time() -> None:
    class Contended(MemoryStore):
        async def put(self, *args: Any, **options: Any) -> bool:
            return False

    observer, store = ToolCosts(Prices()), MemoryStore()
    observer.finished(call(MODEL, body=anthropic()))
    async with asyncio.timeout(10):
        await observer.save(Contended())
    await observer.save(store)
    observer.close()
    assert await totals(store, since="1970-01-01", until="1970-01-02")


async def test_beyond_so_many_tools_of_a_day_they_are_one() -> None:
    tools = [{**GREP, "name": f"tool_{number}"} for number in range(2000)]
    found = await costs(anthropic(tools=tools[:1000]), anthropic(tools=tools[1000:]))
    other = next(total for total in found if total.tool == "other")
    assert len(found) == 1501
    assert (other.server, other.cost.requests) == ("", 501)
    assert sum(total.cost.tokens for total in found) <= 2000
    assert other.cost.definition_usd == pytest.approx(501 * found[-1].cost.definition_usd, rel=0.01)


async def test_a_name_longer_than_any_provider_takes_is_none_of_a_days_tools() -> None:
    longest, longer = "mcp__hub__" + "x" * 118, "y" * 300_000
    found = await costs(anthropic(tools=[{**GREP, "name": name} for name in (longest, longer)]))
    assert {total.tool for total in found} == {"read", "x" * 118, "other"}


async def test_costs_of_a_day_that_the_store_cannot_hold_keep_no_other_day_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Narrow(MemoryStore):
        async def put(self, kind: str, key: str, *args: Any, **options: Any) -> bool:
            if key == "1970-01-01":
                raise Unwritable("too large")
            return await super().put(kind, key, *args, **options)

    observer, store = ToolCosts(Prices()), Narrow()
    for day in (0, 1):
        observer.finished(call(replace(MODEL, at=86_400.0 * day), body=anthropic()))
    await observer.save(store)
    observer.close()
    found = await totals(store, since="1970-01-01", until="1970-01-02")
    assert {total.cost.requests for total in found} == {1}
    assert "cannot hold" in caplog.text


async def test_bodies_that_found_no_place_take_none_up() -> None:
    observer, store = ToolCosts(Prices(), size=1), MemoryStore()
    large = anthropic(system="s" * 1024 * 1024)
    for _ in range(100):
        observer.finished(call(MODEL, body=large))
    assert observer.queue.dropped
    assert await asyncio.to_thread(observer.queue.flush, 30)
    dropped = observer.queue.dropped
    observer.finished(call(MODEL, body=anthropic()))
    await observer.save(store)
    observer.close()
    assert observer.queue.dropped == dropped
    assert await totals(store, since="1970-01-01", until="1970-01-02")
