"""Bodies of any shape: a guard refuses, masks or passes them, and never trips."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.call import Call, Operation
from gateway.errors import BadRequest, Refused
from gateway.guards.policy import Guard
from gateway.guards.rules import PHASES, guard_from
from tests.guards.apps import GITHUB

KEYS = st.sampled_from([
    "messages", "system", "content", "text", "type", "tool_use", "tool_result", "input", "tools", "name", "description", "role",
    "input_schema", "inputSchema", "properties", "parts", "contents", "functionResponse", "response", "choices", "message", "delta",
    "output", "instructions", "candidates", "arguments", "function", "source", "data", "image", "structuredContent", "candidates",
])  # fmt: skip
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9) | KEYS | st.just(GITHUB),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)
MASKING = Guard(
    **guard_from({phase: [{"scanner": "secrets", "action": "mask"}] for phase in PHASES}), budget=30
)


def call() -> Call:
    return Call(id="req_1", at=0.0, started=0, path="/v1/messages")


def tool(arguments: Any) -> Operation:
    return Operation("mcp", "tools/call", subject="tool", name="t", exposed="t", arguments=arguments)


@given(SHAPES)
async def test_any_body_is_judged(shape: Any) -> None:
    body = orjson.dumps(shape)
    try:
        kept, placeholders = await MASKING.request(call(), body)
        await MASKING.answer(call(), kept, placeholders)
    except (Refused, BadRequest):
        return
    orjson.loads(kept)


@given(SHAPES)
async def test_no_secret_passes_in_a_tools_data_wherever_it_stands(shape: Any) -> None:
    for kept in (
        await MASKING.arguments(call(), tool(shape)),
        await MASKING.result(call(), tool({}), {"structuredContent": shape}),
        *await MASKING.definitions(call(), [{"name": "t", "inputSchema": shape}]),
    ):
        values = [item for item in _values(kept) if isinstance(item, str)]
        assert not any(GITHUB in value for value in values)


def _values(value: Any) -> list[Any]:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for each in below for found in _values(each))]


@pytest.mark.parametrize("key", ["id", "status", "type", "model", "object", "blob"])
async def test_a_key_means_in_data_what_its_tool_says(key: str) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "n", "input": {key: GITHUB}}
    body = orjson.dumps({"messages": [{"role": "assistant", "content": [use]}]})
    kept, _ = await MASKING.request(call(), body)
    assert GITHUB.encode() not in kept
    assert orjson.loads(kept)["messages"][0]["content"][0]["id"] == "t1"
