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
from gateway.middleware.guard import GuardMiddleware
from tests.driver import Driver
from tests.guards.apps import GITHUB, stream

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
        found = MASKING.request(call(), body)
        kept, placeholders = found if isinstance(found, tuple) else await found
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
    found = MASKING.request(call(), body)
    kept, _ = found if isinstance(found, tuple) else await found
    assert GITHUB.encode() not in kept
    assert orjson.loads(kept)["messages"][0]["content"][0]["id"] == "t1"


EVENTS = st.sampled_from([
    "type", "index", "delta", "text", "content_block_delta", "content_block_stop", "message_stop", "choices", "content", "tool_calls",
    "function", "arguments", "candidates", "parts", "finish_reason", "finishReason", "partial_json", "response.output_text.delta",
    "response.completed", "item_id", "functionCall", "args", "content_index", "response",
])  # fmt: skip
STREAMED = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5) | EVENTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(EVENTS, inner, max_size=4),
    max_leaves=15,
)
PATHS = ("/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1beta/models/m:streamGenerateContent")


@given(st.lists(STREAMED, max_size=4), st.sampled_from(PATHS))
async def test_any_events_of_an_upstream_come_through(events: list[Any], path: str) -> None:
    frames = [b"data: " + orjson.dumps(event) + b"\n\n" for event in events]
    reply = await Driver(GuardMiddleware(stream(frames), guard=MASKING)).post(path, {"model": "m"})
    assert reply.status == 200


async def test_a_tools_call_beside_a_text_in_one_event_is_masked_too() -> None:
    parts = [
        {"text": f"the key {GITHUB} "},
        {"functionCall": {"name": "send", "args": {"body": f"it is {GITHUB}"}}},
    ]
    frame = {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]
    }
    app = stream([b"data: " + orjson.dumps(frame) + b"\n\n"])
    reply = await Driver(GuardMiddleware(app, guard=MASKING)).post(PATHS[-1], {"contents": []})
    assert GITHUB not in reply.body.decode()
    assert reply.body.count(b"[[secrets:") == 2
