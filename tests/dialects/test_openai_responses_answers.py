"""Responses streams and answers, as the hub tells them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.llm.dialects import openai_responses
from gateway.llm.dialects.failures import AnswerFailed
from gateway.llm.dialects.protocol import Json
from gateway.llm.dialects.reduce import reduce
from gateway.metering.usage import Usage
from tests.dialects import oracles
from tests.dialects import specified_responses as wire
from tests.dialects.conversations import text, thinking, use
from tests.dialects.driving import feed, message_of, reply, splits
from tests.dialects.specified_chat import FIGURES

SIGNED = "oa1.item_0.gAAA-secret"

WHOLE: dict[str, tuple[bytes, list[Json], str]] = {
    "text": (wire.TEXT, [text("Hello, wörld")], "end_turn"),
    "an empty reply": (wire.EMPTY, [], "end_turn"),
    "one tool": (wire.ONE_TOOL, [use("get", "call_a", path="/x")], "tool_use"),
    "no arguments": (wire.NO_ARGUMENTS, [use("now", "call_a")], "tool_use"),
    "20 KB of arguments": (wire.LONG_ARGUMENTS, [use("put", "call_a", text="é" * 10_000)], "tool_use"),
    "three calls": (
        wire.PARALLEL,
        [text("On it."), use("a", "call_a", n=1), use("b", "call_b", n=2), use("c", "call_c", n=3)],
        "tool_use",
    ),
    "calls that grow at once": (
        wire.INTERLEAVED,
        [use("a", "call_a", n=1), use("b", "call_b", n=2)],
        "tool_use",
    ),
    "reasoning": (wire.REASONING, [thinking("First.\n\nThen.", SIGNED), text("Four.")], "end_turn"),
    "reasoning that is not shown": (
        wire.HIDDEN_REASONING,
        [{"type": "redacted_thinking", "data": SIGNED}, text("Four.")],
        "end_turn",
    ),
    "two signed steps": (
        wire.TWO_STEPS,
        [
            thinking("First.", "oa1.item_0.one"),
            use("a", "call_a"),
            {"type": "redacted_thinking", "data": "oa1.item_2.two"},
            use("b", "call_b"),
        ],
        "tool_use",
    ),
    "reasoning in the open": (wire.OPEN_REASONING, [thinking("Hm.", ""), text("Four.")], "end_turn"),
    "a refusal": (wire.REFUSAL, [text("I cannot help.")], "refusal"),
    "filtered after text": (wire.FILTERED, [text("Well, ")], "refusal"),
    "cut inside a call": (wire.CUT_IN_TOOL, [use("put", "call_a")], "max_tokens"),
    "items without deltas": (wire.WHOLE_ITEMS, [use("a", "call_a", n=1), text("Done.")], "tool_use"),
    "unknown events": (wire.UNKNOWN, [text("ok")], "end_turn"),
    "a web search": (
        wire.SEARCH,
        [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {
                        "type": "web_search_result",
                        "title": "https://t",
                        "url": "https://t",
                        "encrypted_content": "",
                        "page_age": None,
                    }
                ],
            },
            text("Found."),
        ],
        "end_turn",
    ),
}


@pytest.mark.parametrize(("stream", "content", "stop"), WHOLE.values(), ids=WHOLE)
def test_a_stream_becomes_its_message(stream: bytes, content: list[Json], stop: str) -> None:
    message = message_of(openai_responses, stream)
    assert message["content"] == content
    assert message["stop_reason"] == stop
    assert message["usage"] == FIGURES
    assert (message["id"], message["model"]) == ("resp_1", "up")


@pytest.mark.parametrize(("stream", "content", "stop"), WHOLE.values(), ids=WHOLE)
def test_a_whole_answer_says_what_its_stream_says(stream: bytes, content: list[Json], stop: str) -> None:
    last = json.loads(stream.rstrip().rpartition(b"data: ")[2])
    message = openai_responses.read_answer(last["response"], reply())
    kinds = [block["type"] for block in message["content"]]
    if "server_tool_use" not in [block["type"] for block in content] and stream is not wire.OPEN_REASONING:
        assert message["content"] == content
    assert kinds[-1:] == [block["type"] for block in content][-1:]
    assert (message["stop_reason"], message["usage"]) == (stop, FIGURES)


BROKEN = {
    "at chunk 0": (wire.ERROR_FIRST, "api_error", 500, False),
    "an error of another shape": (wire.ERROR_NESTED, "api_error", 500, False),
    "failed at once": (wire.FAILED_FIRST, "rate_limit_error", 429, False),
    "inside text": (wire.FAILED_INSIDE, "rate_limit_error", 429, False),
    "between items": (wire.FAILED_BETWEEN, "rate_limit_error", 429, False),
    "cut": (wire.TRUNCATED, "api_error", 500, True),
    "garbage": (wire.GARBAGE, "api_error", 500, False),
    "nonsense": (wire.NONSENSE, "api_error", 500, False),
    "nothing at all": (b"", "api_error", 500, True),
}


@pytest.mark.parametrize(("stream", "kind", "status", "retry"), BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_ends_in_an_error_and_never_as_finished(
    stream: bytes, kind: str, status: int, retry: bool
) -> None:
    events = feed(openai_responses.reader(reply()), [stream])
    assert [event["type"] for event in events if event["type"] in ("error", "message_stop")] == ["error"]
    assert events[-1]["error"]["type"] == kind
    assert events[-1]["status"] == status
    assert events[-1].get("retry", False) is retry


def test_a_whole_answer_that_failed_is_a_failure() -> None:
    with pytest.raises(AnswerFailed, match="Slow down") as failed:
        openai_responses.read_answer(wire.FAILED["response"], reply())
    assert failed.value.info.type == "rate_limit_error"


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_a_whole_answer_that_is_not_finished_is_a_failure(status: str) -> None:
    with pytest.raises(AnswerFailed, match=status):
        openai_responses.read_answer(wire.response(status), reply())


def test_every_chunking_of_the_bytes_gives_the_same_events() -> None:
    for stream in (wire.stream(*wire.begun(), *wire.says(0, "é"), wire.ended()), wire.ERROR_FIRST):
        whole = feed(openai_responses.reader(reply()), [stream])
        for pieces in splits(stream):
            assert feed(openai_responses.reader(reply()), pieces) == whole


@pytest.mark.parametrize("stream", [wire.INTERLEAVED, wire.TWO_STEPS, wire.REASONING])
def test_a_stream_may_come_byte_by_byte(stream: bytes) -> None:
    pieces = [stream[at : at + 1] for at in range(len(stream))]
    assert feed(openai_responses.reader(reply()), pieces) == feed(openai_responses.reader(reply()), [stream])


SAME = [wire.TEXT, wire.EMPTY, wire.ONE_TOOL, wire.LONG_ARGUMENTS, wire.PARALLEL, wire.INTERLEAVED, wire.REASONING, wire.REFUSAL,
        wire.FILTERED, wire.TWO_STEPS]  # fmt: skip


@pytest.mark.parametrize("stream", SAME)
def test_the_sdk_makes_the_same_of_the_bytes(stream: bytes) -> None:
    theirs = oracles.responses_stream(stream)
    ours = oracles.anthropic_words(message_of(openai_responses, stream))
    assert (ours["text"], ours["calls"], ours["usage"]) == (theirs["text"], theirs["calls"], theirs["usage"])
    assert ours["thoughts"] == theirs["thoughts"]


@pytest.mark.parametrize(
    "stream", [wire.TEXT, wire.PARALLEL, wire.REASONING, wire.FILTERED, wire.CUT_IN_TOOL]
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_watcher_sees_what_bills(stream: bytes, size: int) -> None:
    watcher = openai_responses.watcher()
    for at in range(0, len(stream), size):
        watcher.feed(stream[at : at + size])
    assert watcher.usage == Usage(10, 10, 30, 3, reasoning=4)
    assert watcher.finished
    assert watcher.error is None
    assert watcher.stop_reason == reduce(feed(openai_responses.reader(reply()), [stream]))["stop_reason"]


def test_the_watcher_sees_errors_and_that_a_stream_was_cut() -> None:
    watcher = openai_responses.watcher()
    watcher.feed(wire.FAILED_INSIDE)
    assert watcher.error is not None
    assert watcher.error.type == "rate_limit_error"
    cut = openai_responses.watcher()
    cut.feed(wire.TRUNCATED)
    assert not cut.finished
    assert cut.usage is None


def test_the_watcher_is_not_fooled_by_text_that_looks_like_an_event() -> None:
    watcher = openai_responses.watcher()
    watcher.feed(wire.stream(*wire.begun(), *wire.says(0, 'event: response.completed "type":"error"')[:3]))
    assert not watcher.finished
    assert watcher.error is None


@settings(max_examples=60)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["item", "delta", "response", "usage", "output_index", "type", "error", "summary"]), inner,
                        max_size=4), max_leaves=12),
       st.sampled_from(["output_item.added", "output_item.done", "output_text.delta", "completed", "failed", "created",
                        "function_call_arguments.delta"]))  # fmt: skip
def test_no_json_breaks_the_reader(body: Any, kind: str) -> None:
    event = {
        **(body if isinstance(body, dict) else {"item": body, "output_index": 0}),
        "type": f"response.{kind}",
    }
    feed(openai_responses.reader(reply()), [f"data: {json.dumps(event)}\n\n".encode(), wire.TEXT])
