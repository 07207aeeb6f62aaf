"""JSON of the wrong shape at OpenAI's, Bedrock's and Vertex' wires: an error event or a 400, and never a crash."""

from __future__ import annotations

import json
from contextlib import suppress
from time import process_time
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.llm.dialects import anthropic, bedrock, bedrock_converse, openai_chat, openai_responses, vertex
from gateway.llm.dialects.failures import AnswerFailed
from gateway.llm.dialects.protocol import Options, Target
from tests.dialects import specified_bedrock as frames
from tests.dialects import specified_chat as chat
from tests.dialects.driving import reply
from tests.dialects.test_hostile import HUB, mostly, nonsense

OUTBOUND = [openai_chat, openai_responses, bedrock, bedrock_converse, vertex]
A = nonsense("type", "text", "content", "role", "id", "call_id", "name", "arguments", "function", "image_url", "url", "input", "output",
             "summary", "action", "file", "parameters", "format", "encrypted_content", "tools", "usage", "delta", "item", "response")  # fmt: skip
PART = mostly(
    {
        "type": st.sampled_from(["text", "image_url", "input_text", "input_image", "input_file", "refusal"]),
        "text": st.text(max_size=3),
    },
    A,
)
CALL = mostly(
    {
        "id": st.text(max_size=3),
        "type": st.sampled_from(["function", "custom"]),
        "function": mostly({"name": A, "arguments": A}, A),
    },
    A,
)
CHAT = mostly(
    {
        "messages": st.lists(
            mostly(
                {
                    "role": st.sampled_from(["user", "assistant", "tool", "system"]),
                    "content": st.lists(PART, max_size=2) | st.text(max_size=3),
                    "tool_calls": st.lists(CALL, max_size=2),
                    "tool_call_id": A,
                },
                A,
            ),
            max_size=3,
        ),
        "tools": st.lists(
            mostly({"type": st.sampled_from(["function", "custom"]), "function": A, "custom": A}, A),
            max_size=2,
        ),
        "tool_choice": A,
        "stop": A,
        "response_format": A,
        "max_tokens": A,
        "stream_options": A,
        "reasoning_effort": A,
    },
    A,
)
ITEM = mostly(
    {
        "type": st.sampled_from(
            ["message", "function_call", "function_call_output", "custom_tool_call", "local_shell_call", "reasoning", "web_search_call",
             "tool_search_output", "shell_call_output"]
        ),
        "role": st.sampled_from(["user", "assistant", "developer"]),
        "content": st.lists(PART, max_size=2),
        "name": st.text(max_size=3),
        "call_id": st.text(max_size=3),
        "arguments": A,
        "summary": A,
        "output": A,
    },
    A,
)  # fmt: skip
RESPONSES = mostly(
    {
        "input": st.lists(ITEM, max_size=3),
        "tools": A,
        "tool_choice": A,
        "text": A,
        "reasoning": A,
        "instructions": A,
    },
    A,
)


@settings(max_examples=60)
@given(HUB)
def test_no_body_of_an_anthropic_client_breaks_a_writer(body: dict[str, Any]) -> None:
    for dialect in OUTBOUND:
        with suppress(BadRequest):
            request = anthropic.read_request(body, Target(model="m"))
            json.dumps(dialect.write_request(request.hub, Options(model="m", stream=True)).body)


@settings(max_examples=150)
@given(CHAT)
def test_no_body_of_a_chat_client_breaks_the_gateway(body: dict[str, Any]) -> None:
    for dialect in (anthropic, *OUTBOUND):
        with suppress(BadRequest):
            request = openai_chat.read_request(body, Target(model="m"))
            json.dumps(dialect.write_request(request.hub, Options(model="m")).body)


@settings(max_examples=150)
@given(RESPONSES)
def test_no_body_of_a_responses_client_breaks_the_gateway(body: dict[str, Any]) -> None:
    for dialect in (anthropic, *OUTBOUND):
        with suppress(BadRequest):
            request = openai_responses.read_request(body, Target(model="m"))
            json.dumps(dialect.write_request(request.hub, Options(model="m")).body)


@settings(max_examples=60)
@given(
    st.fixed_dictionaries({}, optional={"messages": A, "input": A, "anthropic_beta": A, "system": A}),
    st.booleans(),
)
def test_no_body_of_a_bedrock_or_vertex_client_breaks_the_gateway(body: dict[str, Any], count: bool) -> None:
    for inbound in (bedrock, vertex):
        with suppress(BadRequest):
            request = inbound.read_request(body, Target(model="m", count=count))
            for dialect in OUTBOUND:
                with suppress(BadRequest):
                    json.dumps(dialect.write_request(request.hub, Options(model="m")).body)


ANSWERS = [
    (
        openai_chat,
        mostly(
            {
                "choices": st.lists(mostly({"message": A, "finish_reason": st.just("stop")}, A), max_size=2),
                "usage": A,
            },
            A,
        ),
    ),
    (
        openai_responses,
        mostly(
            {"output": st.lists(ITEM, max_size=3), "status": st.just("completed"), "usage": A, "error": A}, A
        ),
    ),
    (
        bedrock_converse,
        mostly({"output": mostly({"message": A}, A), "stopReason": st.just("end_turn"), "usage": A}, A),
    ),
]


@pytest.mark.parametrize(("dialect", "bodies"), ANSWERS)
def test_no_answer_breaks_its_reader(dialect: Any, bodies: st.SearchStrategy[Any]) -> None:
    @settings(max_examples=80)
    @given(bodies)
    def check(body: dict[str, Any]) -> None:
        with suppress(AnswerFailed):
            assert dialect.read_answer(body, reply())["type"] == "message"

    check()


@settings(max_examples=60)
@given(A | st.just(b"<html>"))
def test_no_error_body_breaks_its_reader(value: Any) -> None:
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    for dialect in OUTBOUND:
        assert dialect.read_error(500, {}, body).message


@settings(max_examples=60)
@given(
    A,
    st.sampled_from(
        [
            "messageStart",
            "contentBlockStart",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata",
            "chunk",
        ]
    ),
)
def test_no_frame_breaks_the_bedrock_readers(value: Any, kind: str) -> None:
    body = value if isinstance(value, dict) else {"bytes": value, "contentBlockIndex": 0, "delta": value}
    for dialect in (bedrock, bedrock_converse):
        reader = dialect.reader(reply(names={"x": "y"}))
        for event in [*reader.feed(frames.frame(kind, body)), *reader.end()]:
            assert isinstance(event["type"], str)


@settings(max_examples=60)
@given(A)
def test_no_event_in_a_bedrock_frame_breaks_its_reader(value: Any) -> None:
    reader = bedrock.reader(reply(names={"x": "y"}))
    events = [*reader.feed(frames.chunk(value)), *reader.end()]
    assert events[-1]["type"] == "error"


def watchers() -> list[tuple[ModuleType, bytes]]:
    return [
        (openai_chat, b'data: {"usage": {"prompt_tokens_details": 3}, "choices": 4}\n\n'),
        (
            openai_responses,
            b'event: response.completed\ndata: {"type": "response.completed", "response": [1]}\n\n',
        ),
        (bedrock, frames.frame("chunk", {"bytes": 3}) + frames.frame("metadata", {"usage": 4})),
    ]


@pytest.mark.parametrize(("dialect", "stream"), watchers())
def test_no_bytes_break_a_watcher(dialect: Any, stream: bytes) -> None:
    watcher = dialect.watcher()
    watcher.feed(stream)
    watcher.feed(b"\xff\n\n" * 9)
    assert watcher.usage is None


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    for hub in ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "more": deep}]}]},):
        with pytest.raises(BadRequest, match="nested too deeply"):
            bedrock.write_request(hub, Options(model="m"))


def test_text_between_the_pieces_of_a_call_costs_no_more_than_its_length() -> None:
    reader = openai_chat.reader(reply())
    reader.feed(chat.first() + chat.begin(0, "a", "call_a") + chat.grow(0, '{"t":"' + "x" * 2_000_000))
    begun = process_time()
    reader.feed(chat.text("y") * 3_000)
    assert process_time() - begun < 10  # copying what has gathered at each piece would take minutes
