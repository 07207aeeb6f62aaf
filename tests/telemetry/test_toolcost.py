"""What each tool is found to cost, from the bodies that a coding agent sends."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StoreError
from gateway.metering import toolcost
from gateway.metering.prices import Prices
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


def prompt(body: bytes) -> toolcost.Prompt:
    found = toolcost.read(body)
    assert found is not None
    return found


def by_tool(body: bytes, usage: Usage) -> dict[str, toolcost.Share]:
    return {share.tool: share for share in toolcost.shares(prompt(body), usage)}


def test_definitions_and_results_are_laid_at_the_tools_that_brought_them() -> None:
    found = by_tool(anthropic(), Usage(input=1000))
    assert set(found) == {"mcp__fs__read", "Grep"}
    assert found["mcp__fs__read"].result.input > 4 * found["mcp__fs__read"].definition.input > 0
    assert found["Grep"].result == Usage()
    assert sum(s.definition.input + s.result.input for s in found.values()) < 1000


def test_what_was_read_from_the_cache_falls_to_the_parts_that_stand_first() -> None:
    usage = Usage(input=100, cache_read=500, cache_write=400)
    found = by_tool(anthropic(), usage)["mcp__fs__read"]
    assert found.definition.cache_read == found.definition.prompt
    assert found.result.input > 0
    assert found.result.cache_write > 0


def test_a_deferred_tool_costs_nothing_until_the_search_finds_it() -> None:
    deferred = {**READ, "defer_loading": True}
    hidden = by_tool(anthropic(tools=[deferred, GREP], messages=[]), Usage(input=1000))
    assert "mcp__fs__read" not in hidden
    references = [{"type": "tool_reference", "tool_name": "mcp__fs__read"}]
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t0", "name": "ToolSearch", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t0", "content": references}]},
    ]  # fmt: skip
    found = by_tool(anthropic(tools=[deferred, GREP], messages=messages), Usage(input=1000))
    assert found["mcp__fs__read"].definition.input > 0


def test_an_image_counts_as_an_image_and_not_as_its_bytes() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "mcp__fs__read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1",
                                      "content": [{"type": "image", "source": source}]}]},
    ]  # fmt: skip
    sizes = [p.size for p in prompt(anthropic(messages=messages)).parts if p.kind == "result"]
    assert max(sizes) < 8000


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
    found = by_tool(body, Usage(input=400))["mcp__fs__read"]
    assert found.result.input > 250
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
    assert toolcost.read(body) is None


@given(
    sizes=st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(1, 9000)), min_size=1, max_size=30),
    usage=st.builds(Usage, *[st.integers(0, 200_000)] * 5),
)
def test_shares_never_exceed_the_prompt_nor_any_of_its_prices(
    sizes: list[tuple[str, int]], usage: Usage
) -> None:
    parts = [toolcost.Part(tool, "result", size) for tool, size in sizes]
    found = toolcost.shares(toolcost.Prompt(parts), usage)
    rounding = len(found)
    for name in ("input", "cache_read", "cache_write", "cache_write_1h", "prompt"):
        assert sum(getattr(share.result, name) for share in found) <= getattr(usage, name) + 4 * rounding
    if all(tool for tool, _ in sizes):
        assert abs(sum(share.result.prompt for share in found) - usage.prompt) <= 4 * rounding


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
