"""Prompts on spans: of every API, masked, and only where somebody asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.content import attributes
from gateway.telemetry.masking import Masking
from tests.telemetry import receiver as receivers
from tests.telemetry.watched import PROMPT, SECRET, watched

CALL = {"type": "tool_call", "id": "t1", "name": "add", "arguments": {"a": 1}}
HELLO = {"role": "user", "parts": [{"type": "text", "content": "hello"}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"messages": [{"role": "user", "content": "hello"}]}, [HELLO]),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}, [HELLO]),
        ({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}, [HELLO]),
        ({"input": "hello"}, [HELLO]),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]}, [HELLO]),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}]}]},
         [{"role": "assistant", "parts": [CALL]}]),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "t1", "function": {"name": "add", "arguments": {"a": 1}}}]}]},
         [{"role": "assistant", "parts": [CALL]}]),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "3"}]}]},
         [{"role": "user", "parts": [{"type": "tool_call_response", "id": "t1", "response": "3"}]}]),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"data": "AAAA"}}]}]},
         [{"role": "user", "parts": [{"type": "image"}]}]),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": {"password": "x"}}]}]},
         [{"role": "user", "parts": [{"type": "tool_call_response", "id": "t", "response": {"password": "***"}}]}]),
    ],
)  # fmt: skip
def test_a_prompt_of_any_api_is_told_as_the_conventions_say(body: dict[str, Any], expected: Any) -> None:
    told = attributes(orjson.dumps(body), Masking())
    assert orjson.loads(told["gen_ai.input.messages"]) == expected


def test_the_system_prompt_stands_apart_and_credentials_are_masked() -> None:
    key = "AKIA" + "QWERTYUIOPASDFGH"
    told = attributes(
        orjson.dumps({"system": [{"type": "text", "text": f"use {key}"}], "messages": []}), Masking()
    )
    assert list(told) == ["gen_ai.system_instructions"]
    assert key not in told["gen_ai.system_instructions"]


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"not json", b'{"messages": [1, null]}', b'{"messages": {"a": 1}}', b'{"input": 5}']
)
def test_what_is_no_prompt_tells_nothing(body: bytes) -> None:
    assert attributes(body, Masking()) == {}


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ("messages", "contents", "input", "system", "content", "parts", "type", "text", "role", "tool_calls", "function")
    ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_a_body_of_any_shape_breaks_nothing(body: Any) -> None:
    for value in attributes(json.dumps(body).encode(), Masking()).values():
        assert orjson.loads(value)


@pytest.mark.parametrize("wanted", [False, True])
async def test_prompts_are_on_spans_only_where_the_file_asks_for_them(tmp_path: Path, wanted: bool) -> None:
    with receivers.receiving() as receiver:
        more = f"endpoint: '{receiver.url}', content: {str(wanted).lower()}"
        async with watched(
            tmp_path, f"telemetry: {{log: 'off', traces: {{exporter: otlp, {more}}}}}"
        ) as gateway:
            await gateway.traffic(1)
    assert (PROMPT in str(receiver.traces)) is wanted
    chat = receivers.attributes(receiver.span("chat claude-haiku-4-5"))
    assert ("gen_ai.input.messages" in chat) is wanted
    assert SECRET not in str(receiver.traces)
