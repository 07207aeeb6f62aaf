"""Claude on Bedrock by InvokeModel: bodies, betas, frames, errors, on both sides."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any

import anthropic as sdk
import orjson
import pytest
from botocore.eventstream import EventStreamBuffer

from gateway.errors import BadRequest
from gateway.llm.dialects import anthropic, bedrock, betas, vertex
from gateway.llm.dialects.protocol import Json, Options, Request, Target
from gateway.llm.dialects.reduce import expand, reduce
from gateway.llm.quirks import of_model
from gateway.metering.usage import Usage
from tests.dialects import grammar_openai, oracles
from tests.dialects import specified_bedrock as wire
from tests.dialects.conversations import ATTRIBUTION, LONG_NAME, assistant, text, thinking, tool, use, user
from tests.dialects.driving import feed, outbound, reply, splits, written
from tests.dialects.test_openai_chat_writing import MESSAGES

MODEL = "us.anthropic.claude-opus-4-6-v1:0"


def made(hub: Json, *, beta: str = "", **options: Any) -> Any:
    return outbound(
        bedrock, {"messages": [user("hi")], **hub}, MODEL, headers={"anthropic-beta": beta}, **options
    )


def test_a_request_loses_what_stands_in_the_path() -> None:
    asked = made({"model": "claude", "stream": True, "temperature": 0.5}, stream=True)
    assert asked.path == "/model/us.anthropic.claude-opus-4-6-v1%3A0/invoke-with-response-stream"
    assert asked.body == {
        "messages": [user("hi")],
        "max_tokens": 100,
        "temperature": 0.5,
        "anthropic_version": "bedrock-2023-05-31",
    }
    assert dict(asked.headers) == {"content-type": "application/json"}
    assert made({}).path.endswith("/invoke")


def test_betas_move_to_the_body_and_unknown_ones_stay_behind() -> None:
    asked = made(
        {},
        beta="claude-code-20250219, interleaved-thinking-2025-05-14,advanced-tool-use-2025-11-20,future-2027-01-01",
    )
    assert asked.body["anthropic_beta"] == ["interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19"]
    assert list(asked.losses) == ["anthropic-beta: claude-code-20250219", "anthropic-beta: future-2027-01-01"]


FIELDS: list[tuple[Json, str, Json]] = [
    ({"mcp_servers": [{}], "container": "c", "service_tier": "auto"}, "", {}),
    ({"speed": "fast"}, "fast-mode-2026-02-01", {}),
    ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, "", {}),
    (
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}, {"type": "clear_thinking_20251015"}]}},
        "context-management-2025-06-27",
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}, "anthropic_beta": ["context-management-2025-06-27"]},
    ),
    (
        {"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}},
        "context-management-2025-06-27",
        {"anthropic_beta": ["context-management-2025-06-27"]},
    ),
    ({"tools": [{**tool(), "type": "custom", "eager_input_streaming": True}]}, "", {"tools": [tool()]}),
    (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}, tool()], "tool_choice": {"type": "tool", "name": "web_search"}},
        "",
        {"tools": [tool()]},
    ),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "any"}}, "", {}),
    (
        {"tools": [tool()], "tool_choice": {"type": "tool", "name": "get"}},
        "",
        {"tools": [tool()], "tool_choice": {"type": "tool", "name": "get"}},
    ),
    ({"output_config": {"effort": "high"}}, "effort-2025-11-24", {"output_config": {"effort": "high"}, "anthropic_beta": ["effort-2025-11-24"]}),
]  # fmt: skip


@pytest.mark.parametrize(("hub", "beta", "kept"), FIELDS)
def test_a_field_goes_with_its_beta(hub: Json, beta: str, kept: Json) -> None:
    body = made(hub, beta=beta).body
    assert {k: v for k, v in body.items() if k not in ("messages", "max_tokens", "anthropic_version")} == kept


def test_a_cache_scope_is_taken_out_wherever_it_stands_and_nothing_else() -> None:
    scoped, plain = {"type": "ephemeral", "scope": "global"}, {"type": "ephemeral"}
    given = {"cache_control": scoped, "scope": "mine"}
    hub = {
        "system": [{**text("a"), "cache_control": scoped}],
        "messages": [
            user({**text("b"), "cache_control": scoped}),
            assistant({**use("get", "t1"), "input": given}),
        ],
        "tools": [{**tool(), "cache_control": plain}],
    }
    body = made(hub).body
    assert body["system"][0]["cache_control"] == plain
    assert body["messages"][0]["content"][0]["cache_control"] == plain
    assert body["messages"][1]["content"][0]["input"] == given
    assert body["tools"] == hub["tools"]
    assert hub["system"][0]["cache_control"] == scoped


def test_the_attribution_stays_with_anthropic() -> None:
    assert made({"system": [text(ATTRIBUTION), text("Be brief.")]}).body["system"] == [text("Be brief.")]
    assert "system" not in made({"system": [text(ATTRIBUTION)]}).body


def test_only_claudes_own_thinking_is_replayed() -> None:
    hub = {"messages": [user("a"), assistant(thinking("G", "gm1.x"), thinking("C", "sig"), "b"), user("c")]}
    assert made(hub).body["messages"][1]["content"] == [thinking("C", "sig"), text("b")]


def test_counting_wraps_the_request() -> None:
    asked = made({"system": "s"}, count=True)
    assert asked.path == "/model/anthropic.claude-opus-4-6-v1%3A0/count-tokens"
    inner = orjson.loads(b64decode(asked.body["input"]["invokeModel"]["body"]))
    assert inner == {
        "messages": [user("hi")],
        "system": "s",
        "max_tokens": 1,
        "anthropic_version": "bedrock-2023-05-31",
    }
    assert bedrock.read_count({"inputTokens": 7}) == 7


PLAIN = {
    "text": "Hello, wörld",
    "calls": [("get", {"path": "/x"})],
    "thoughts": ["Hm."],
    "stop": "tool_use",
    "usage": (97, 9, 0),
}


def test_a_stream_is_read_as_the_sdk_reads_it() -> None:
    assert (
        oracles.anthropic_words(reduce(feed(bedrock.reader(reply()), [wire.INVOKE])))
        == oracles.bedrock_stream(wire.INVOKE)
        == PLAIN
    )


def test_every_chunking_of_the_bytes_gives_the_same_events() -> None:
    stream = wire.invoke(wire.started(), *wire.said(0, "é"), *wire.ended("end_turn"))
    whole = feed(bedrock.reader(reply()), [stream])
    for pieces in splits(stream):
        assert feed(bedrock.reader(reply()), pieces) == whole


def test_awss_own_figures_are_taken_out_and_fill_only_gaps() -> None:
    events = feed(bedrock.reader(reply()), [wire.INVOKE])
    assert events[-1] == {"type": "message_stop"}
    assert events[-2]["usage"] == {"output_tokens": 9}
    bare = wire.started()
    bare["message"]["usage"] = {}
    stream = wire.invoke(bare, *wire.ended("end_turn", usage={"output_tokens": 4}))
    reader = bedrock.reader(reply())
    assert (reader.feed(stream) + reader.end())[-2]["usage"] == {"output_tokens": 4, "input_tokens": 133}


def test_names_that_were_shortened_come_back() -> None:
    events = feed(bedrock.reader(reply(names={"get": LONG_NAME})), [wire.INVOKE])
    assert reduce(events)["content"][2]["name"] == LONG_NAME


EVENTS = wire.INVOKE_EVENTS
THROTTLED = wire.THROTTLED
BROKEN = {
    "at chunk 0": (THROTTLED, "rate_limit_error", 429, False),
    "mid-block": (wire.invoke(*EVENTS[:3]) + THROTTLED, "rate_limit_error", 429, False),
    "between blocks": (wire.invoke(*EVENTS[:5]) + THROTTLED, "rate_limit_error", 429, False),
    "overloaded": (wire.exception("serviceUnavailableException", "Busy"), "overloaded_error", 529, True),
    "too slow": (wire.exception("modelTimeoutException", "Slow"), "timeout_error", 504, False),
    "the model broke": (wire.exception("modelStreamErrorException", "Oops"), "api_error", 500, True),
    "our token ran out": (
        wire.exception("validationException", "The security token included in the request is expired"),
        "authentication_error",
        401,
        False,
    ),
    "cut": (wire.invoke(*EVENTS[:4]), "api_error", 500, True),
    "stopped without a reason": (wire.invoke(EVENTS[0], EVENTS[-1]), "api_error", 500, True),
    "garbage": (wire.invoke(EVENTS[0]) + b"HTTP/1.1 502 Bad Gateway", "api_error", 500, True),
    "a frame without bytes": (wire.frame("chunk", {}), "api_error", 500, True),
    "nothing at all": (b"", "api_error", 500, True),
}


@pytest.mark.parametrize(("stream", "kind", "status", "retry"), BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_ends_in_an_error_and_never_as_finished(
    stream: bytes, kind: str, status: int, retry: bool
) -> None:
    events = feed(bedrock.reader(reply()), [stream])
    assert [event["type"] for event in events if event["type"] in ("error", "message_stop")] == ["error"]
    assert events[-1]["error"]["type"] == kind
    assert events[-1]["status"] == status
    assert events[-1].get("retry", False) is retry


def test_frames_of_kinds_unknown_today_are_passed_over() -> None:
    stream = wire.frame("futureEvent", {"x": 1}) + wire.chunk({"type": "ping"}) + wire.INVOKE
    assert reduce(feed(bedrock.reader(reply()), [stream]))["stop_reason"] == "tool_use"


@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_the_watcher_sees_what_bills(size: int) -> None:
    watcher = bedrock.watcher()
    for at in range(0, len(wire.INVOKE), size):
        watcher.feed(wire.INVOKE[at : at + size])
    assert (watcher.usage, watcher.stop_reason, watcher.finished) == (Usage(97, 9), "tool_use", True)


def test_the_watcher_follows_converse_streams_too() -> None:
    watcher = bedrock.watcher()
    watcher.feed(wire.PARALLEL)
    assert (watcher.usage, watcher.stop_reason, watcher.finished) == (Usage(10, 10, 30, 3), "tool_use", True)


def test_the_watcher_sees_errors_and_passes_over_nonsense() -> None:
    watcher = bedrock.watcher()
    watcher.feed(wire.invoke(wire.started()) + THROTTLED)
    assert watcher.error is not None
    assert watcher.error.type == "rate_limit_error"
    assert not watcher.finished
    lost = bedrock.watcher()
    lost.feed(b"HTTP/1.1 502 Bad Gateway")
    lost.feed(wire.INVOKE)
    assert lost.usage is None


def test_the_usage_of_whole_answers() -> None:
    assert bedrock.usage_of(b'{"usage":{"input_tokens":5,"output_tokens":2}}') == Usage(5, 2)
    assert bedrock.usage_of(orjson.dumps({"usage": wire.USAGE})) == Usage(10, 10, 30, 3)
    assert bedrock.usage_of(b"oops") is None


@pytest.mark.parametrize("body", MESSAGES.values(), ids=MESSAGES)
def test_the_bedrock_sdk_reads_what_the_hub_said(body: Json) -> None:
    stream = written(bedrock, expand(body))
    grammar_openai.bedrock(stream, whole=True)
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    assert all(message.to_response_dict()["status_code"] == 200 for message in buffer)
    assert oracles.bedrock_stream(stream) == oracles.anthropic_words(body)


@pytest.mark.parametrize("given", [0, 1, 3])
def test_an_error_is_an_exception_frame_that_the_sdk_raises(given: int) -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}
    stream = written(bedrock, [*list(expand(MESSAGES["text"]))[:given], error])
    grammar_openai.bedrock(stream, whole=False)
    with pytest.raises(sdk.APIError, match="Slow down"):
        oracles.bedrock_stream(stream)


def test_pings_do_not_disturb_the_sdk() -> None:
    writer = bedrock.writer(Request({}))
    events = [writer.write(event) for event in expand(MESSAGES["text"])]
    assert oracles.bedrock_stream(b"".join([events[0], writer.ping(), *events[1:]]))["text"] == "Hello, wörld"


def test_what_claude_code_sends_in_bedrock_mode_is_read() -> None:
    body = {"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19"], "max_tokens": 5,
            "messages": [user("hi")]}  # fmt: skip
    request = bedrock.read_request(body, Target(model="claude-x", stream=True))
    assert (request.model, request.stream, request.hub["model"]) == ("claude-x", True, "claude-x")
    headers = {"anthropic-beta": "claude-code-20250219,effort-2025-11-24"}
    sent = anthropic.write_request(request.hub, Options(model="claude-x", headers=headers))
    assert sent.headers["anthropic-beta"] == (
        "claude-code-20250219,effort-2025-11-24,interleaved-thinking-2025-05-14,advanced-tool-use-2025-11-20"
    )
    assert not {"anthropic_beta", "anthropic_version"} & sent.body.keys()


def test_a_count_of_a_bedrock_client_is_read_and_answered() -> None:
    inner = b64encode(
        orjson.dumps({"anthropic_version": "x", "max_tokens": 1, "messages": [user("hi")]})
    ).decode()
    request = bedrock.read_request(
        {"input": {"invokeModel": {"body": inner}}}, Target(model="claude-x", count=True)
    )
    assert request.count
    assert request.hub["messages"] == [user("hi")]
    assert bedrock.write_count(7) == {"inputTokens": 7}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": {"invokeModel": {"body": "!"}}},
        {"input": {"converse": {}}},
        {"input": {"invokeModel": {"body": "W10="}}},
    ],
)
def test_a_count_without_a_request_is_refused(body: Json) -> None:
    with pytest.raises(BadRequest, match="invokeModel"):
        bedrock.read_request(body, Target(model="m", count=True))


def test_the_same_dialect_passes_every_byte() -> None:
    body = b'{ "anything": 1.0 }'
    assert bedrock.forward(body, Options(model="m")) is body


def test_anothers_thinking_does_not_pass() -> None:
    body = orjson.dumps({"messages": [user("a"), assistant(thinking("G", "gm1.x"), "b")]})
    for module in (bedrock, vertex):
        assert orjson.loads(module.forward(body, Options(model="m"))) == {
            "messages": [user("a"), assistant("b")]
        }


def test_a_converse_request_is_not_taken_for_claudes() -> None:
    with pytest.raises(BadRequest, match="Converse"):
        bedrock.read_request({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, Target(model="m"))


def test_the_newest_models_get_no_sampling() -> None:
    asked = bedrock.write_request(
        {"messages": [user("hi")], "temperature": 0.5},
        Options(model=MODEL, quirks=of_model("claude-opus-4-7")),
    )
    assert "temperature" not in asked.body
    assert "temperature" in asked.losses
    warm = bedrock.write_request({"messages": [user("hi")], "temperature": 1.5}, Options(model=MODEL))
    assert warm.body["temperature"] == 1


ERRORS = [
    (429, "ThrottlingException:http://internal.amazon.com/coral/", "Too many", 429, "rate_limit_error"),
    (400, "ValidationException", "Malformed input", 400, "invalid_request_error"),
    (403, "AccessDeniedException", "You don't have access", 403, "permission_error"),
    (403, "UnrecognizedClientException", "Bad token", 401, "authentication_error"),
    (403, "", "The security token included in the request is expired", 401, "authentication_error"),
    (404, "ResourceNotFoundException", "No model", 404, "not_found_error"),
    (408, "ModelTimeoutException", "Slow", 504, "timeout_error"),
    (424, "ModelErrorException", "Broke", 500, "api_error"),
    (429, "ModelNotReadyException", "Wait", 529, "overloaded_error"),
    (503, "ServiceUnavailableException", "Busy", 529, "overloaded_error"),
    (500, "InternalServerException", "Oops", 500, "api_error"),
]


@pytest.mark.parametrize(("status", "kind", "message", "shown", "ours"), ERRORS)
def test_awss_errors_are_told_in_the_hubs_terms(
    status: int, kind: str, message: str, shown: int, ours: str
) -> None:
    headers = {"x-amzn-errortype": kind} if kind else {}
    info = bedrock.read_error(status, headers, orjson.dumps({"message": message}))
    assert (info.status, info.type, info.message) == (shown, ours, message)


def test_a_prompt_too_long_says_so_in_words_that_claude_code_knows() -> None:
    info = bedrock.read_error(
        400,
        {"x-amzn-errortype": "ValidationException"},
        b'{"message":"Input is too long for requested model."}',
    )
    assert "capability_rejected: prompt_too_long" in info.message


def test_an_error_that_is_no_json_is_shown_as_it_is() -> None:
    assert bedrock.read_error(502, {}, b"<html>").message == "<html>"


def test_every_beta_in_the_map_has_a_date() -> None:
    for platform in (betas.BEDROCK, betas.VERTEX):
        assert all(re.search(r"-20\d\d-?\d\d-?\d\d$", beta) for beta in platform.betas)
