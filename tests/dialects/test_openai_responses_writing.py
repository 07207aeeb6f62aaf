"""What Responses clients get: events and responses that their own SDK reads as the hub meant them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.llm.dialects import anthropic, openai_responses
from gateway.llm.dialects.protocol import Json, Options, Request, Target
from gateway.llm.dialects.reduce import expand
from tests.dialects import grammar_openai, oracles
from tests.dialects.conversations import SCHEMA, text, thinking, use
from tests.dialects.driving import written
from tests.dialects.test_openai_chat_writing import MESSAGES, message
from tests.dialects.test_openai_responses_requests import CODEX

STATUSES = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "refusal": "content_filter",
}


@pytest.mark.parametrize("body", MESSAGES.values(), ids=MESSAGES)
def test_the_sdk_reads_what_the_hub_said(body: Json) -> None:
    stream = written(openai_responses, expand(body))
    grammar_openai.responses(stream, whole=True)
    meant = oracles.anthropic_words(body)
    for theirs in (
        oracles.responses_stream(stream),
        oracles.responses_answer(openai_responses.write_answer(body, Request({}, model="asked"))),
    ):
        assert theirs["stop"] == STATUSES.get(body["stop_reason"], "completed")
        assert {k: theirs[k] for k in ("text", "calls", "thoughts", "usage")} == {
            k: meant[k] for k in ("text", "calls", "thoughts", "usage")
        }


def test_the_request_is_echoed_as_openai_does() -> None:
    request = openai_responses.read_request(CODEX, Target())
    stream = written(openai_responses, expand(MESSAGES["text"]), wire=request.wire, model="claude-x")
    first = grammar_openai.responses(stream, whole=True)[0]["response"]
    assert first["tools"] == CODEX["tools"]
    assert first["instructions"] == CODEX["instructions"]
    assert first["model"] == "claude-x"
    assert first["store"] is False
    whole = openai_responses.write_answer(MESSAGES["text"], request)
    assert orjson.loads(orjson.dumps(whole))["tools"] == CODEX["tools"]


def answered(*content: Json) -> list[Json]:
    """The output items that Codex gets, of the stream and of the whole answer alike."""
    request = openai_responses.read_request(CODEX, Target())
    body = message(*content, stop="tool_use")
    stream = written(openai_responses, expand(body), wire=request.wire)
    items: list[Json] = grammar_openai.responses(stream, whole=True)[-1]["response"]["output"]
    whole = openai_responses.write_answer(body, request)["output"]
    drop = ("id",)
    assert [{k: v for k, v in i.items() if k not in drop} for i in whole] == [
        {k: v for k, v in i.items() if k not in drop} for i in items
    ]
    return items


def test_each_kind_of_tool_is_called_as_its_client_knows_it() -> None:
    items = answered(
        use("shell", "t1", command=["ls"]),
        use("apply_patch", "t2", input="*** Begin"),
        use("local_shell", "t3", command=["pwd"]),
        use("files__read", "t4", path="/x"),
    )
    assert [(item["type"], item["call_id"], item.get("name"), item.get("namespace")) for item in items] == [
        ("function_call", "t1", "shell", None),
        ("custom_tool_call", "t2", "apply_patch", None),
        ("local_shell_call", "t3", None, None),
        ("function_call", "t4", "read", "files"),
    ]
    assert items[1]["input"] == "*** Begin"
    assert items[2]["action"] == {"type": "exec", "command": ["pwd"], "env": {}}
    assert orjson.loads(items[3]["arguments"]) == {"path": "/x"}


@pytest.mark.parametrize(
    "block",
    [thinking("Hm.", "EqRk"), {"type": "redacted_thinking", "data": "Emwk"}, thinking("Hm.", "gm1.part")],
)
def test_thinking_goes_to_the_client_and_comes_back(block: Json) -> None:
    items = answered(block, use("shell", "t1"))
    assert items[0]["type"] == "reasoning"
    replayed = {key: value for key, value in items[0].items() if key != "id"}  # as Codex does
    hub = openai_responses.read_request(
        {**CODEX, "input": [{"role": "user", "content": "go"}, replayed, items[1]]}, Target()
    ).hub
    assert hub["messages"][1]["content"][0] == block


def test_a_conversation_of_codex_with_claude_keeps_claudes_thinking() -> None:
    items = answered(thinking("Hm.", "EqRk"), use("shell", "t1"))
    body = {
        **CODEX,
        "input": [
            {"role": "user", "content": "go"},
            *items,
            {"type": "function_call_output", "call_id": "t1", "output": "x"},
        ],
    }
    sent = anthropic.write_request(
        openai_responses.read_request(body, Target()).hub, Options(model="claude-x")
    ).body
    assert sent["messages"][1]["content"][0] == thinking("Hm.", "EqRk")


@pytest.mark.parametrize("given", [0, 1, 3])
def test_an_error_ends_the_stream_as_failed(given: int) -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}, "status": 429}
    stream = written(openai_responses, [*list(expand(MESSAGES["text"]))[:given], error])
    last = grammar_openai.responses(stream, whole=False)[-1]
    assert last["response"]["error"] == {"code": "rate_limit_exceeded", "message": "Slow down"}
    theirs = oracles.responses_stream(stream)
    assert theirs["stop"] == "failed"


CODES = [
    ("overloaded_error", "Busy", "server_error"),
    ("invalid_request_error", "Bad", "invalid_prompt"),
    ("invalid_request_error", "capability_rejected: prompt_too_long: x", "context_length_exceeded"),
    ("billing_error", "No money", "insufficient_quota"),
]


@pytest.mark.parametrize(("kind", "said", "code"), CODES)
def test_errors_have_codes_that_codex_knows(kind: str, said: str, code: str) -> None:
    stream = written(openai_responses, [{"type": "error", "error": {"type": kind, "message": said}}])
    assert grammar_openai.responses(stream)[-1]["response"]["error"]["code"] == code


def test_unknown_events_are_passed_over_and_a_ping_is_a_comment() -> None:
    events: list[Any] = [*expand(MESSAGES["text"])]
    events.insert(2, {"type": "future_event"})
    writer = openai_responses.writer(Request({}, model="asked"))
    body = writer.ping() + b"".join(writer.write(event) for event in events)
    assert oracles.responses_stream(body)["text"] == "Hello, wörld"


def test_a_call_whose_input_never_came_has_an_empty_object() -> None:
    events = list(expand(message(use("now", "toolu_1"), stop="tool_use")))
    silent = [event for event in events if (event.get("delta") or {}).get("type") != "input_json_delta"]
    stream = written(openai_responses, silent)
    grammar_openai.responses(stream, whole=True)
    assert oracles.responses_stream(stream)["calls"] == [("now", {})]


def test_text_that_is_there_at_the_start_of_a_block_is_not_lost() -> None:
    events = [*expand(message(text("")))]
    events[1] = {"type": "content_block_start", "index": 0, "content_block": text("early")}
    assert oracles.responses_stream(written(openai_responses, events))["text"] == "early"


def test_a_closed_tool_schema_keeps_its_strictness() -> None:
    tools = [{"type": "function", "name": "a", "parameters": SCHEMA, "strict": True}]
    hub = openai_responses.read_request({"model": "m", "input": "hi", "tools": tools}, Target()).hub
    assert hub["tools"] == [{"name": "a", "input_schema": SCHEMA, "strict": True}]
