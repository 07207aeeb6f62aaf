"""What chat clients get: chunks and completions that their own SDK reads as the hub meant them; and bytes that pass."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest

from gateway.llm.dialects import openai_chat
from gateway.llm.dialects.openai_chat.writing import FINISHES
from gateway.llm.dialects.protocol import Json, Model, Request, Target
from gateway.llm.dialects.reduce import expand
from gateway.metering.usage import Usage
from tests.dialects import grammar_openai, oracles
from tests.dialects import specified_chat as wire
from tests.dialects.conversations import text, thinking, use
from tests.dialects.driving import written

USAGE = {
    "input_tokens": 5,
    "output_tokens": 7,
    "cache_read_input_tokens": 3,
    "cache_creation_input_tokens": 2,
}


def message(*content: Json, stop: str = "end_turn", usage: Json = USAGE) -> Json:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": list(content),
            "stop_reason": stop, "stop_sequence": None, "usage": usage}  # fmt: skip


MESSAGES: dict[str, Json] = {
    "text": message(text("Hello, wörld")),
    "nothing": message(),
    "one call": message(use("get", "toolu_1", path="/x"), stop="tool_use"),
    "text and three calls": message(
        text("On it."),
        use("a", "toolu_1", n=1),
        use("b", "toolu_2"),
        use("c", "toolu_3", t="é"),
        stop="tool_use",
    ),
    "thinking": message(thinking("Hm.", "sig"), text("Four.")),
    "redacted": message({"type": "redacted_thinking", "data": "x"}, text("Four.")),
    "cut": message(text("Hel"), stop="max_tokens"),
    "context full": message(text("Hel"), stop="model_context_window_exceeded"),
    "refused": message(text("Well, "), stop="refusal"),
    "refused at once": message(stop="refusal"),
    "stopped": message(text("a"), stop="stop_sequence"),
}


@pytest.mark.parametrize("body", MESSAGES.values(), ids=MESSAGES)
def test_the_sdk_reads_what_the_hub_said(body: Json) -> None:
    stream = written(openai_chat, expand(body), wire={"include_usage": True})
    grammar_openai.chat(stream, whole=True, usage=True)
    meant = oracles.anthropic_words(body)
    for theirs in (
        oracles.chat_stream(stream),
        oracles.chat_answer(openai_chat.write_answer(body, Request({}, model="asked"))),
    ):
        assert (theirs["text"], theirs["calls"], theirs["usage"]) == (
            meant["text"],
            meant["calls"],
            meant["usage"],
        )
        assert theirs["stop"] == FINISHES[body["stop_reason"]]


def test_usage_is_sent_only_where_it_was_asked_for() -> None:
    stream = written(openai_chat, expand(MESSAGES["text"]), wire={"include_usage": False})
    grammar_openai.chat(stream, whole=True, usage=False)
    assert b"usage" not in stream


def test_reasoning_is_shown_where_compatible_providers_show_it() -> None:
    stream = written(openai_chat, expand(MESSAGES["thinking"]))
    chunks = grammar_openai.chat(stream, whole=True)
    assert [
        c["choices"][0]["delta"].get("reasoning_content")
        for c in chunks
        if "reasoning_content" in c["choices"][0]["delta"]
    ] == ["Hm."]
    answer = openai_chat.write_answer(MESSAGES["thinking"], Request({}, model="asked"))
    assert answer["choices"][0]["message"]["reasoning_content"] == "Hm."


def test_the_client_sees_the_model_that_it_asked_for() -> None:
    assert all(
        chunk["model"] == "asked"
        for chunk in grammar_openai.chat(written(openai_chat, expand(MESSAGES["text"])))
    )
    assert openai_chat.write_answer(MESSAGES["text"], Request({}, model="asked"))["model"] == "asked"


def test_free_text_tools_are_answered_as_such() -> None:
    body = message(use("run", "toolu_1", input="ls -l"), use("get", "toolu_2", path="/"), stop="tool_use")
    known: Any = {"custom": ["run"]}
    whole = openai_chat.write_answer(body, Request({}, model="asked", wire=known))
    assert oracles.chat_answer(whole)["calls"] == [("run", "ls -l"), ("get", {"path": "/"})]
    stream = written(openai_chat, expand(body), wire=known)
    first = grammar_openai.chat(stream, whole=True)[1]["choices"][0]["delta"]["tool_calls"][0]
    assert first == {
        "index": 0,
        "id": "toolu_1",
        "type": "custom",
        "custom": {"name": "run", "input": "ls -l"},
    }


def test_a_call_whose_input_never_came_has_an_empty_object() -> None:
    events = list(expand(message(use("now", "toolu_1"), stop="tool_use")))
    silent = [event for event in events if (event.get("delta") or {}).get("type") != "input_json_delta"]
    assert oracles.chat_stream(written(openai_chat, silent))["calls"] == [("now", {})]


@pytest.mark.parametrize("sent", [0, 1, 3])
def test_an_error_ends_the_stream_and_the_sdk_raises_it(sent: int) -> None:
    events = [
        *list(expand(MESSAGES["text"]))[:sent],
        {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}, "status": 529},
    ]
    stream = written(openai_chat, events)
    grammar_openai.chat(stream, whole=False)
    with pytest.raises(openai.APIError, match="Busy"):
        oracles.chat_stream(stream)


def test_unknown_events_are_passed_over() -> None:
    events = [*expand(MESSAGES["text"])]
    events.insert(2, {"type": "future_event"})
    events.insert(3, {"type": "ping"})
    assert oracles.chat_stream(written(openai_chat, events))["text"] == "Hello, wörld"


def test_a_ping_is_a_comment() -> None:
    stream = openai_chat.writer(Request({}, model="asked"))
    body = b"".join([stream.ping(), *(stream.write(e) for e in expand(MESSAGES["text"]))])
    assert oracles.chat_stream(body)["text"] == "Hello, wörld"


def test_models_are_listed_as_openai_lists_them() -> None:
    body = openai_chat.write_models([Model("a", created=5, owner="me"), Model("b")])
    with oracles.openai_serving(orjson.dumps(body), "application/json") as client:
        assert [(each.id, each.created, each.owned_by) for each in client.models.list()] == [
            ("a", 5, "me"),
            ("b", 0, "gateway"),
        ]


STREAMS = [wire.TEXT, wire.PARALLEL, wire.ONE_CHUNK, wire.OPENROUTER, wire.UNKNOWN]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_watcher_sees_what_bills(stream: bytes, size: int) -> None:
    watcher = openai_chat.watcher()
    for at in range(0, len(stream), size):
        watcher.feed(stream[at : at + size])
    assert watcher.usage == Usage(10, 10, 30, 3, reasoning=4)
    assert watcher.stop_reason in ("end_turn", "tool_use")
    assert watcher.finished


def test_the_watcher_sees_errors_and_that_a_stream_was_cut() -> None:
    watcher = openai_chat.watcher()
    watcher.feed(wire.ERROR_INSIDE)
    assert watcher.error is not None
    assert watcher.error.type == "rate_limit_error"
    cut = openai_chat.watcher()
    cut.feed(wire.TRUNCATED)
    assert not cut.finished
    assert cut.usage is None


def test_the_watcher_passes_over_what_it_cannot_read() -> None:
    watcher = openai_chat.watcher()
    watcher.feed(b'data: {"usage": {oops\n\n' + wire.TEXT)
    assert watcher.usage == Usage(10, 10, 30, 3, reasoning=4)


def test_a_client_that_did_not_ask_for_usage_gets_every_other_byte() -> None:
    asked = b'{"stream": true}'
    usage = wire.chunk(None, usage=wire.USAGE)
    assert usage in wire.TEXT
    for size in (1, 5, 64, 10_000):
        trimmer = openai_chat.trimmer(asked)
        assert trimmer is not None
        pieces = [trimmer.feed(wire.TEXT[at : at + size]) for at in range(0, len(wire.TEXT), size)]
        assert b"".join([*pieces, trimmer.end()]) == wire.TEXT.replace(usage, b"")


@pytest.mark.parametrize(
    "body", [b"{}", b'{"stream": false}', b'{"stream": true, "stream_options": {"include_usage": true}}']
)
def test_other_clients_get_every_byte(body: bytes) -> None:
    assert openai_chat.trimmer(body) is None


def test_the_usage_of_whole_answers_and_of_embeddings() -> None:
    assert openai_chat.usage_of(orjson.dumps({"usage": wire.USAGE})) == Usage(10, 10, 30, 3, reasoning=4)
    assert openai_chat.usage_of(
        b'{"object":"list","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}'
    ) == Usage(8)
    assert openai_chat.usage_of(b"oops") is None
    assert openai_chat.usage_of(b"[]") is None


ERRORS = [
    (429, {"error": {"message": "Slow down", "type": "requests", "code": "rate_limit_exceeded"}}, 429, "rate_limit_error", "Slow down"),
    (429, {"error": {"message": "No money", "type": "insufficient_quota", "code": "insufficient_quota"}}, 402, "billing_error", "No money"),
    (401, {"error": {"message": "Bad key", "type": "invalid_request_error", "code": "invalid_api_key"}}, 401, "authentication_error", "Bad key"),
    (404, {"error": {"message": "No model", "code": "model_not_found"}}, 404, "not_found_error", "No model"),
    (400, {"error": {"message": "Too long", "code": "context_length_exceeded"}}, 400, "invalid_request_error",
     "Too long (capability_rejected: prompt_too_long)"),
    (500, {"error": {"message": "Oops"}}, 500, "api_error", "Oops"),
    (503, {"error": "busy"}, 529, "overloaded_error", "busy"),
    (422, {"message": "bad", "detail": [{"loc": ["x"]}]}, 400, "invalid_request_error", "bad"),
    (400, [{"error": {"message": "In a list"}}], 400, "invalid_request_error", "In a list"),
    (504, {}, 504, "timeout_error", "the upstream answered 504"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "shown", "kind", "said"), ERRORS)
def test_an_upstreams_error_is_told_in_the_hubs_terms(
    status: int, body: Any, shown: int, kind: str, said: str
) -> None:
    info = openai_chat.read_error(status, {"retry-after": "7"}, orjson.dumps(body))
    assert (info.status, info.type, info.message, info.retry_after) == (shown, kind, said, 7.0)


def test_an_error_that_is_no_json_is_shown_as_it_is() -> None:
    assert openai_chat.read_error(502, {}, b"<html>Bad gateway</html>").message == "<html>Bad gateway</html>"


@pytest.mark.parametrize("streamed", [True, False])
def test_the_sdks_message_brings_signed_thinking_back(streamed: bool) -> None:
    thought = {"type": "thinking", "thinking": "Which?", "signature": "gm1.c.U2ln"}
    call = {"type": "tool_use", "id": "call_a", "name": "get", "input": {"n": 1}}
    meant = message(thought, call, stop="tool_use")
    if streamed:
        body, media = written(openai_chat, expand(meant)), "text/event-stream"
    else:
        body, media = (
            orjson.dumps(openai_chat.write_answer(meant, Request({}, model="m"))),
            "application/json",
        )
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with oracles.openai_serving(body, media) as client:
        if streamed:
            with client.chat.completions.stream(**asked) as stream:
                whole: Any = stream.get_final_completion()
        else:
            whole = client.chat.completions.create(**asked)
    turn = whole.choices[0].message.model_dump(exclude_none=True)
    read = openai_chat.read_request({"model": "m", "messages": [turn]}, Target())
    assert read.hub["messages"][0]["content"] == [thought, call]
