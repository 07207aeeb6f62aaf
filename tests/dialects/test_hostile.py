"""JSON of the wrong shape: from an upstream it is an error event, from a client a 400, and never a crash."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.llm.dialects import anthropic, gemini
from gateway.llm.dialects.failures import AnswerFailed
from gateway.llm.dialects.protocol import Options, Target
from tests.dialects.driving import reply

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["", "x", "text", "user", "model", "assistant", "tool_use"])
)


def nonsense(*words: str) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(words)
    return st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=15,
    )


def mostly(words: dict[str, st.SearchStrategy[Any]], rest: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object that is nearly right: some of these keys, some with nonsense."""
    return st.fixed_dictionaries({}, optional={key: value | rest for key, value in words.items()})


G = nonsense("candidates", "content", "parts", "text", "functionCall", "name", "args", "finishReason", "usageMetadata", "promptTokenCount", "error", "thought", "thoughtSignature", "promptFeedback", "inlineData", "functionResponse", "response", "role")  # fmt: skip
PART = mostly(
    {
        "text": st.text(max_size=3),
        "functionCall": mostly({"name": st.text(max_size=3), "args": G}, G),
        "thoughtSignature": st.text(max_size=3),
    },
    G,
)
CONTENT = mostly({"parts": st.lists(PART, max_size=2), "role": st.sampled_from(["model", "user"])}, G)
CHUNK = mostly({"candidates": st.lists(mostly({"content": CONTENT, "finishReason": st.sampled_from(["STOP", "SAFETY"])}, G), max_size=2),
                "usageMetadata": G, "error": G, "promptFeedback": G, "responseId": G}, G)  # fmt: skip
GEMINI_BODY = mostly(
    {
        "contents": st.lists(CONTENT, max_size=3),
        "tools": G,
        "generationConfig": G,
        "systemInstruction": G,
        "toolConfig": G,
    },
    G,
)

A = nonsense("type", "text", "content", "source", "id", "name", "input", "tool_use_id", "signature", "thinking", "data", "tool", "media_type")  # fmt: skip
BLOCK = mostly({"type": st.sampled_from(["text", "tool_use", "tool_result", "thinking", "image", "document", "search_result", "web_fetch_tool_result", "tool_addition"]),
                "text": st.text(max_size=3), "content": A, "source": A, "id": st.text(max_size=3), "tool_use_id": A}, A)  # fmt: skip
MESSAGE = mostly(
    {"role": st.sampled_from(["user", "assistant", "system"]), "content": st.lists(BLOCK, max_size=3)}, A
)
HUB = mostly({"messages": st.lists(MESSAGE, max_size=3), "tools": A, "tool_choice": A, "system": A, "thinking": A, "output_config": A,
              "stop_sequences": A, "max_tokens": A}, A)  # fmt: skip


@given(CHUNK)
def test_no_chunk_breaks_the_gemini_reader(chunk: Any) -> None:
    reader = gemini.reader(reply())
    for event in [*reader.feed(b"data: " + orjson.dumps(chunk) + b"\n\n"), *reader.end()]:
        assert isinstance(event["type"], str)


@given(CHUNK)
def test_no_answer_breaks_its_reader(body: dict[str, Any]) -> None:
    with suppress(AnswerFailed):
        assert gemini.read_answer(body, reply())["type"] == "message"


@given(G | A | st.just(b"<html>"))
def test_no_error_body_breaks_its_reader(value: Any) -> None:
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    for dialect in (anthropic, gemini):
        assert dialect.read_error(500, {}, body).message


@given(GEMINI_BODY)
def test_no_body_of_a_gemini_client_breaks_the_gateway(body: dict[str, Any]) -> None:
    with suppress(BadRequest):
        request = gemini.read_request(body, Target(model="m"))
        orjson.dumps(anthropic.write_request(request.hub, Options(model="m")).body)


@given(HUB)
def test_no_body_of_an_anthropic_client_breaks_the_gateway(body: dict[str, Any]) -> None:
    for dialect in (gemini, anthropic):
        with suppress(BadRequest):
            request = anthropic.read_request(body, Target(model="m"))
            orjson.dumps(dialect.write_request(request.hub, Options(model="gemini-3-flash")).body)


@given(A)
def test_no_frame_breaks_the_anthropic_reader(value: Any) -> None:
    reader = anthropic.reader(reply(names={"x": "y"}))
    events = [*reader.feed(b"data: " + orjson.dumps(value) + b"\n\n"), *reader.end()]
    assert events[-1]["type"] == "error"


@pytest.mark.parametrize("dialect", [anthropic, gemini])
def test_no_bytes_break_a_watcher(dialect: Any) -> None:
    for stream in (
        b'data: {"usage": 3, "type": "message_delta"}\n\n',
        b'data: {"usageMetadata": [], "finishReason"\n\n',
        b"\xff\n\n" * 9,
    ):
        watcher = dialect.watcher()
        watcher.feed(stream)
        assert watcher.usage is None


@pytest.mark.parametrize("body", [
    {"messages": ["gm1."]}, {"messages": {"signature": "gm1.c.x"}}, {"messages": [{"role": "assistant", "content": [3, {"signature": "gm1.c.x"}]}]},
    {"contents": [{"parts": ["aHViLTE6"]}]}, {"contents": ["aHViLTE6"]}, ["aHViLTE6", "gm1."],
])  # fmt: skip
def test_no_body_that_passes_breaks_the_gateway(body: Any) -> None:
    data = orjson.dumps({"x": "gm1."} | body if isinstance(body, dict) else body)
    for dialect in (anthropic, gemini):
        with suppress(BadRequest):
            assert dialect.forward(data, Options(model="m"))
