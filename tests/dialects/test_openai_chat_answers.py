"""Chat streams and answers of providers, as the hub tells them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.llm.dialects import openai_chat, openai_usage
from gateway.llm.dialects.failures import AnswerFailed
from gateway.llm.dialects.protocol import Json
from gateway.llm.dialects.reduce import reduce
from gateway.metering.usage import Usage
from tests.dialects import oracles
from tests.dialects import specified_chat as wire
from tests.dialects.driving import feed, message_of, reply, splits


def tool(name: str, given: Any, ident: str) -> Json:
    return {"type": "tool_use", "id": ident, "name": name, "input": given}


def said(text: str) -> Json:
    return {"type": "text", "text": text}


def thought(text: str) -> Json:
    return {"type": "thinking", "thinking": text, "signature": ""}


WHOLE: dict[str, tuple[bytes, list[Json], str]] = {
    "text": (wire.TEXT, [said("Hello, wörld")], "end_turn"),
    "an empty reply": (wire.EMPTY, [], "end_turn"),
    "one tool": (wire.ONE_TOOL, [tool("get", {"path": "/x"}, "call_a")], "tool_use"),
    "no arguments": (wire.NO_ARGUMENTS, [tool("now", {}, "call_a")], "tool_use"),
    "20 KB of arguments": (wire.LONG_ARGUMENTS, [tool("put", {"text": "é" * 10_000}, "call_a")], "tool_use"),
    "three calls": (
        wire.PARALLEL,
        [
            said("On it."),
            tool("a", {"n": 1}, "call_a"),
            tool("b", {"n": 2}, "call_b"),
            tool("c", {"n": 3}, "call_c"),
        ],
        "tool_use",
    ),
    "calls that grow at once": (
        wire.INTERLEAVED,
        [tool("a", {"n": 1}, "call_a"), tool("b", {"n": 2}, "call_b")],
        "tool_use",
    ),
    "Snowflake's, without a finish reason": (
        wire.first() + wire.text("Hello") + wire.chunk(None, usage=wire.USAGE) + wire.DONE,
        [said("Hello")],
        "end_turn",
    ),
    "all in one chunk": (wire.ONE_CHUNK, [said("All at once.")], "end_turn"),
    "DeepSeek's reasoning": (wire.REASONING, [thought("Let me think."), said("Four.")], "end_turn"),
    "OpenRouter's comments and reasoning": (wire.OPENROUTER, [thought("Hm."), said("Four.")], "end_turn"),
    "Mistral's parts": (wire.MISTRAL_PARTS, [thought("Hm."), said("Four.")], "end_turn"),
    "a refusal": (wire.REFUSAL, [said("I cannot help.")], "refusal"),
    "filtered after text": (wire.FILTERED, [said("Well, ")], "refusal"),
    "filtered before text": (wire.FILTERED_AT_ONCE, [], "refusal"),
    "cut inside a call": (wire.CUT_IN_TOOL, [tool("put", {}, "call_a")], "max_tokens"),
    "unknown events and fields": (wire.UNKNOWN, [said("ok")], "end_turn"),
    "Groq's own usage": (wire.GROQ_USAGE, [said("ok")], "end_turn"),
}


@pytest.mark.parametrize(("stream", "content", "stop"), WHOLE.values(), ids=WHOLE)
def test_a_stream_becomes_its_message(stream: bytes, content: list[Json], stop: str) -> None:
    message = message_of(openai_chat, stream)
    assert message["content"] == content
    assert message["stop_reason"] == stop
    assert message["usage"] == wire.FIGURES
    assert message["model"] == "up"


BROKEN = {
    "at chunk 0": (wire.ERROR_FIRST, "rate_limit_error", 429, False),
    "inside text": (wire.ERROR_INSIDE, "rate_limit_error", 429, False),
    "between calls": (wire.ERROR_BETWEEN, "rate_limit_error", 429, False),
    "after the finish": (wire.ERROR_AFTER_FINISH, "api_error", 500, False),
    "cut": (wire.TRUNCATED, "api_error", 500, True),
    "cut, though it says [DONE]": (wire.TRUNCATED_DONE, "api_error", 500, True),
    "garbage": (wire.GARBAGE, "api_error", 500, False),
    "nonsense": (wire.NONSENSE, "api_error", 500, False),
    "broken off by its own word": (
        wire.first() + wire.text("Hel") + wire.finish("error"),
        "api_error",
        500,
        True,
    ),
    "nothing at all": (b"", "api_error", 500, True),
}


@pytest.mark.parametrize(("stream", "kind", "status", "retry"), BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_ends_in_an_error_and_never_as_finished(
    stream: bytes, kind: str, status: int, retry: bool
) -> None:
    events = feed(openai_chat.reader(reply()), [stream])
    assert [event["type"] for event in events if event["type"] in ("error", "message_stop")] == ["error"]
    assert events[-1]["error"]["type"] == kind
    assert events[-1]["status"] == status
    assert events[-1].get("retry", False) is retry


def test_every_chunking_of_the_bytes_gives_the_same_events() -> None:
    for stream in (wire.INTERLEAVED, wire.REASONING, wire.TEXT):
        whole = feed(openai_chat.reader(reply()), [stream])
        for pieces in splits(stream):
            assert feed(openai_chat.reader(reply()), pieces) == whole


def test_missing_usage_is_estimated_and_says_so() -> None:
    events = feed(openai_chat.reader(reply(prompt_estimate=120)), [wire.NO_USAGE])
    usage = reduce(events)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["estimated"]) == (120, 2, True)


def test_text_streams_while_it_comes() -> None:
    reader = openai_chat.reader(reply())
    kinds = [
        [event["type"] for event in reader.feed(piece)]
        for piece in (wire.first(), wire.text("Hel"), wire.text("lo"))
    ]
    assert kinds == [
        ["message_start"],
        ["content_block_start", "content_block_delta"],
        ["content_block_delta"],
    ]


def test_a_second_call_streams_as_soon_as_the_first_is_whole() -> None:
    reader = openai_chat.reader(reply())
    reader.feed(wire.first() + wire.begin(0, "a", "call_a") + wire.grow(0, '{"n":1}'))
    events = reader.feed(wire.begin(1, "b", "call_b") + wire.grow(1, '{"n'))
    assert [event["type"] for event in events] == [
        "content_block_stop", "content_block_start", "content_block_delta",
    ]  # fmt: skip


def test_names_that_were_shortened_come_back() -> None:
    events = feed(openai_chat.reader(reply(names={"get": "mcp__files__get"})), [wire.ONE_TOOL])
    assert reduce(events)["content"][0]["name"] == "mcp__files__get"


def test_calls_without_ids_get_one() -> None:
    stream = wire.first() + wire.chunk(wire.call(0, "{}", name="a")) + wire.finish("tool_calls")
    assert message_of(openai_chat, stream)["content"][0]["id"] == "toolu_1"


@pytest.mark.parametrize(
    "stream",
    [wire.TEXT, wire.EMPTY, wire.ONE_TOOL, wire.LONG_ARGUMENTS, wire.PARALLEL, wire.INTERLEAVED, wire.ONE_CHUNK, wire.REFUSAL,
     wire.FILTERED, wire.CUT_IN_TOOL],
)  # fmt: skip
def test_the_sdk_makes_the_same_of_the_bytes(stream: bytes) -> None:
    theirs = oracles.chat_stream(stream)
    ours = oracles.anthropic_words(message_of(openai_chat, stream))
    assert (ours["text"], ours["calls"]) == (theirs["text"], theirs["calls"])
    assert ours["usage"] == theirs["usage"]
    assert openai_chat.answers.STOPS[theirs["stop"]] == ours["stop"] or ours["stop"] == "refusal"


def answer(message: Json, finish: str = "stop", usage: Json = wire.USAGE) -> Json:
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "up", "usage": usage,
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]}  # fmt: skip


CALL = {"id": "call_a", "type": "function", "function": {"name": "get", "arguments": '{"path":"/x"}'}}
ANSWERS: dict[str, tuple[Json, list[Json], str]] = {
    "text": (answer({"content": "Hello"}), [said("Hello")], "end_turn"),
    "a call": (answer({"content": None, "tool_calls": [CALL]}, "tool_calls"), [tool("get", {"path": "/x"}, "call_a")], "tool_use"),
    "a call that says stop": (answer({"content": "", "tool_calls": [CALL]}), [tool("get", {"path": "/x"}, "call_a")], "tool_use"),
    "no finish reason": (answer({"content": "Hello"}, ""), [said("Hello")], "end_turn"),
    "a refusal": (answer({"content": None, "refusal": "No."}), [said("No.")], "refusal"),
    "reasoning": (answer({"content": "4", "reasoning_content": "Hm."}), [thought("Hm."), said("4")], "end_turn"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "content", "stop"), ANSWERS.values(), ids=ANSWERS)
def test_a_whole_answer_becomes_its_message(body: Json, content: list[Json], stop: str) -> None:
    message = openai_chat.read_answer(body, reply())
    assert message["content"] == content
    assert message["stop_reason"] == stop
    assert message["usage"] == wire.FIGURES
    theirs = oracles.chat_answer(body)
    ours = oracles.anthropic_words(message)
    assert (ours["text"], ours["calls"], ours["usage"]) == (theirs["text"], theirs["calls"], theirs["usage"])


@pytest.mark.parametrize(
    "body",
    [{}, {"error": {"message": "Oops"}}, {"choices": []}, {"choices": [{"message": {"content": "x"}}]}],
)
def test_a_whole_answer_that_is_none_is_a_failure(body: Json) -> None:
    with pytest.raises(AnswerFailed):
        openai_chat.read_answer(body, reply())


USAGES = [
    ({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}, Usage(5, 7)),
    ({"prompt_tokens": 5, "completion_tokens": 7, "prompt_cache_hit_tokens": 4}, Usage(1, 7, 4)),
    ({"prompt_tokens": 5, "completion_tokens": 7, "cached_tokens": 2}, Usage(3, 7, 2)),
    # xAI counts its reasoning beside the completion
    ({"prompt_tokens": 37, "completion_tokens": 530, "total_tokens": 800, "completion_tokens_details": {"reasoning_tokens": 233}},
     Usage(37, 763, reasoning=233)),
    # OpenRouter counts Gemini's cached tokens as read and as written
    ({"prompt_tokens": 9, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 8}},
     Usage(1, 7, 8)),
    # a provider that counts more cached tokens than there were
    ({"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(0, 7, 9)),
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours"), USAGES)
def test_usage_is_brought_to_one_arithmetic(theirs: Json, ours: Usage) -> None:
    assert openai_usage.of_chat(theirs) == ours


counts = st.integers(0, 10**7)


@given(counts, counts, counts, counts, counts)
def test_usage_survives_both_ways(input: int, output: int, read: int, write: int, reasoning: int) -> None:
    usage = Usage(input, output + reasoning, read, write, reasoning=reasoning)
    chat, responses = openai_usage.to_chat(usage), openai_usage.to_responses(usage)
    assert openai_usage.of_responses(responses) == usage
    if not reasoning:
        assert openai_usage.of_chat(chat) == usage
    assert chat["total_tokens"] == responses["total_tokens"] == usage.total


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    feed(openai_chat.reader(reply()), [wire.first() + b"data: ", data + b"\n\n"])


@settings(max_examples=60)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["choices", "delta", "tool_calls", "function", "index", "content", "usage", "error"]), inner,
                        max_size=4), max_leaves=12))  # fmt: skip
def test_no_json_breaks_the_reader(body: Any) -> None:
    feed(openai_chat.reader(reply()), [f"data: {json.dumps(body)}\n\n".encode(), wire.TEXT])
