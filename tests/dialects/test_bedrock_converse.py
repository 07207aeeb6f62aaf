"""Models on Bedrock that are not Claude, by Converse."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import BadRequest
from gateway.llm.dialects import bedrock_converse
from gateway.llm.dialects.failures import AnswerFailed
from gateway.llm.dialects.protocol import Json
from gateway.llm.dialects.reduce import reduce
from tests.dialects import specified_bedrock as wire
from tests.dialects.conversations import (
    ATTRIBUTION,
    LONG_NAME,
    SCHEMA,
    assistant,
    document,
    image,
    result,
    system,
    text,
    thinking,
    tool,
    use,
    user,
)
from tests.dialects.driving import feed, message_of, outbound, reply, splits

NOVA, LLAMA, CLAUDE = "us.amazon.nova-pro-v1:0", "meta.llama4-maverick-v1:0", "anthropic.claude-opus-4-6-v1"
PICTURE = {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}


def made(hub: Json, model: str = NOVA, **options: Any) -> Any:
    return outbound(bedrock_converse, {"messages": [user("hi")], **hub}, model, **options)


def messages(*turns: Json, model: str = NOVA) -> list[Json]:
    found: list[Json] = made({"messages": list(turns)}, model).body["messages"]
    return found


def call(ident: str, name: str, **given: Any) -> Json:
    return {"toolUse": {"toolUseId": ident, "name": name, "input": given}}


def answer(ident: str, *content: Json, **more: str) -> Json:
    return {"toolResult": {"toolUseId": ident, "content": list(content), **more}}


def turn(role: str, *content: Json) -> Json:
    return {"role": role, "content": list(content)}


CONVERSATIONS: dict[str, tuple[list[Json], list[Json]]] = {
    "roles alternate": (
        [user("a"), user("b"), system("c"), assistant("d")],
        [turn("user", {"text": "a"}, {"text": "b"}, {"text": "c"}), turn("assistant", {"text": "d"})],
    ),
    "the user begins": (
        [assistant("a")],
        [turn("user", {"text": "(empty)"}), turn("assistant", {"text": "a"})],
    ),
    "no text is blank": (
        [user("  "), assistant("a")],
        [turn("user", {"text": "(empty)"}), turn("assistant", {"text": "a"})],
    ),
    "media": (
        [user(image(), document(title="My  report_v1.pdf"), document(title="My report v1.pdf"))],
        [
            turn(
                "user",
                PICTURE,
                {"document": {"format": "pdf", "source": {"bytes": "JVBERi0="}, "name": "My report v1 pdf"}},
                {
                    "document": {
                        "format": "pdf",
                        "source": {"bytes": "JVBERi0="},
                        "name": "My report v1 pdf (2)",
                    }
                },
                {"text": "See the document."},
            )
        ],
    ),
    "parallel calls answered out of order": (
        [
            user("go"),
            assistant(use("a", "t1", n=1), use("b", "t2")),
            user("and?", result("t2", [image()], failed=True), result("t1", "")),
        ],
        [
            turn("user", {"text": "go"}),
            turn("assistant", call("t1", "a", n=1), call("t2", "b")),
            turn(
                "user",
                answer("t1", {"text": "(empty)"}),
                answer("t2", PICTURE, status="error"),
                {"text": "and?"},
            ),
        ],
    ),
    "a cache point follows its block": (
        [
            user(
                {**text("a"), "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {**text("b"), "cache_control": {"type": "ephemeral"}},
            )
        ],
        [
            turn(
                "user",
                {"text": "a"},
                {"cachePoint": {"type": "default", "ttl": "1h"}},
                {"text": "b"},
                {"cachePoint": {"type": "default"}},
            )
        ],
    ),
    "thinking is left out": (
        [user("a"), assistant(thinking("hm", "sig"), "b")],
        [turn("user", {"text": "a"}), turn("assistant", {"text": "b"})],
    ),
}


@pytest.mark.parametrize(("turns", "expected"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_is_written(turns: list[Json], expected: list[Json]) -> None:
    assert messages(*turns) == expected


def test_models_that_know_neither_cache_points_nor_failed_results() -> None:
    turns = [
        user({**text("a"), "cache_control": {"type": "ephemeral"}}),
        assistant(use("a", "t1")),
        user(result("t1", "no", failed=True)),
    ]
    first, _, last = messages(*turns, model=LLAMA)
    assert first["content"] == [{"text": "a"}]
    assert last["content"] == [answer("t1", {"text": "Error:"}, {"text": "no"})]


def test_claude_by_converse_keeps_its_thinking() -> None:
    redacted = {"type": "redacted_thinking", "data": "EtkE"}
    content = messages(
        user("a"), assistant(thinking("hm", "sig"), redacted, thinking("G", "gm1.x"), "b"), model=CLAUDE
    )[1]["content"]
    assert content == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "RXRrRQ=="}},
        {"text": "b"},
    ]


def test_settings_are_written() -> None:
    asked = made(
        {
            "system": [text(ATTRIBUTION), text("Be brief.")],
            "tools": [tool(), {"name": "bare"}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 5,
            "stop_sequences": ["END"],
            "metadata": {"user_id": '{"odd": true}'},
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        },
        stream=True,
    )
    assert asked.path == "/model/us.amazon.nova-pro-v1%3A0/converse-stream"
    assert asked.reply.one_call
    assert len(asked.body.pop("requestMetadata")["user_id"]) == 64
    assert asked.body.pop("outputConfig")["textFormat"]["structure"]["jsonSchema"]["name"] == "answer"
    assert asked.body == {
        "messages": [turn("user", {"text": "hi"})],
        "system": [{"text": "Be brief."}],
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "get", "description": "Gets.", "inputSchema": {"json": SCHEMA}}},
                {
                    "toolSpec": {
                        "name": "bare",
                        "description": "bare",
                        "inputSchema": {"json": {"type": "object", "properties": {}}},
                    }
                },
            ],
            "toolChoice": {"any": {}},
        },
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"inferenceConfig": {"topK": 5}},
    }


TOOLS: list[tuple[Json, Json | None]] = [
    ({"tools": [tool()], "tool_choice": {"type": "none"}}, None),
    ({"tools": [tool()], "tool_choice": {"type": "tool", "name": "get"}}, {"tool": {"name": "get"}}),
    ({"tools": [tool()], "tool_choice": {"type": "auto"}}, {"auto": {}}),
]


@pytest.mark.parametrize(("hub", "choice"), TOOLS)
def test_a_tool_choice_is_written(hub: Json, choice: Json | None) -> None:
    body = made(hub).body
    assert body.get("toolConfig", {}).get("toolChoice") == choice
    assert ("toolConfig" in body) is (choice is not None)


def test_tools_of_the_conversation_are_told_even_where_none_may_be_called() -> None:
    history = [user("a"), assistant(use("get", "t1")), user(result("t1", "1"))]
    for hub in ({"tools": [tool()], "tool_choice": {"type": "none"}}, {}):
        config = made({"messages": history, **hub}).body["toolConfig"]
        assert [each["toolSpec"]["name"] for each in config["tools"]] == ["get"]
        assert "toolChoice" not in config


THINKING: list[tuple[str, Json, Json | None]] = [
    (CLAUDE, {"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}}),
    ("openai.gpt-oss-120b-1:0", {"output_config": {"effort": "high"}}, {"reasoning_effort": "high"}),
    ("openai.gpt-oss-120b-1:0", {"thinking": {"type": "disabled"}}, {"reasoning_effort": "low"}),
    (
        "amazon.nova-2-lite-v1:0",
        {"thinking": {"type": "disabled"}},
        {"reasoningConfig": {"type": "disabled"}},
    ),
    (
        "amazon.nova-2-lite-v1:0",
        {"thinking": {"type": "adaptive"}},
        {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
    ),
    (LLAMA, {"thinking": {"type": "adaptive"}}, None),
]


@pytest.mark.parametrize(("model", "hub", "expected"), THINKING)
def test_thinking_is_asked_for_in_each_familys_way(model: str, hub: Json, expected: Json | None) -> None:
    asked = made(hub, model)
    assert asked.body.get("additionalModelRequestFields") == expected
    assert ("thinking" in asked.losses) is (expected is None)


def test_counting_wraps_the_conversation() -> None:
    asked = made({"tools": [tool()], "temperature": 1}, count=True)
    assert asked.path == "/model/amazon.nova-pro-v1%3A0/count-tokens"
    assert set(asked.body["input"]["converse"]) == {"messages", "toolConfig"}


def test_long_names_and_ids_fit_and_come_back() -> None:
    ident = "toolu/" + "x" * 80
    asked = made(
        {
            "messages": [user("a"), assistant(use(LONG_NAME, ident)), user(result(ident, "1"))],
            "tools": [tool(LONG_NAME)],
        }
    )
    short = asked.body["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert len(short) <= 64
    assert asked.reply.names == {short: LONG_NAME}
    used = asked.body["messages"][1]["content"][0]["toolUse"]
    assert used["name"] == short
    assert used["toolUseId"] == asked.body["messages"][2]["content"][0]["toolResult"]["toolUseId"]
    assert len(used["toolUseId"]) <= 64


REFUSED: list[tuple[str, Json]] = [
    ("future_block", {"messages": [user({"type": "future_block"})]}),
    ("image", {"messages": [user(image({"type": "url", "url": "https://x/y.png"}))]}),
    ("image/tiff", {"messages": [user(image({"type": "base64", "media_type": "image/tiff", "data": "x"}))]}),
    ("web_search", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("mcp_servers", {"mcp_servers": [{}]}),
]


@pytest.mark.parametrize(("named", "hub"), REFUSED)
def test_what_cannot_be_carried_is_refused_by_name(named: str, hub: Json) -> None:
    with pytest.raises(BadRequest, match=named):
        made(hub)


FIGURES = {
    "input_tokens": 10,
    "output_tokens": 10,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 3,
}
WHOLE: dict[str, tuple[bytes, list[Json], str]] = {
    "text": (wire.TEXT, [text("Hello, wörld")], "end_turn"),
    "an empty reply": (wire.EMPTY, [], "end_turn"),
    "one tool": (wire.ONE_TOOL, [use("get", "tooluse_a", path="/x")], "tool_use"),
    "no arguments": (wire.NO_ARGUMENTS, [use("now", "tooluse_a")], "tool_use"),
    "20 KB of arguments": (wire.LONG_ARGUMENTS, [use("put", "tooluse_a", text="é" * 10_000)], "tool_use"),
    "two calls": (
        wire.PARALLEL,
        [text("On it."), use("a", "tooluse_a", n=1), use("b", "tooluse_b", n=2)],
        "tool_use",
    ),
    "reasoning": (wire.REASONING, [thinking("Hm.", ""), text("Four.")], "end_turn"),
    "guarded": (wire.GUARDED, [text("Well, ")], "refusal"),
    "cut inside a call": (wire.CUT_IN_TOOL, [use("put", "tooluse_a")], "max_tokens"),
    "context full": (wire.CONTEXT_FULL, [text("a")], "model_context_window_exceeded"),
    "the provider's own tool": (wire.PROVIDERS_TOOL, [text("One.")], "end_turn"),
    "unknown events": (wire.UNKNOWN, [text("ok")], "end_turn"),
}


@pytest.mark.parametrize(("stream", "content", "stop"), WHOLE.values(), ids=WHOLE)
def test_a_stream_becomes_its_message(stream: bytes, content: list[Json], stop: str) -> None:
    message = message_of(bedrock_converse, stream)
    assert message["content"] == content
    assert message["stop_reason"] == stop
    assert message["usage"] == FIGURES


def test_claudes_signatures_are_kept_and_a_stop_sequence_is_told() -> None:
    signed = message_of(bedrock_converse, wire.REASONING, model=CLAUDE)
    assert signed["content"][0] == thinking("Hm.", "sig")
    redacted = message_of(bedrock_converse, wire.REDACTED, model=CLAUDE)
    assert redacted["content"] == [{"type": "redacted_thinking", "data": "EtkE"}]
    stopped = message_of(bedrock_converse, wire.STOPPED)
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "END")


def test_only_the_first_call_is_delivered_where_the_client_wants_one() -> None:
    content = message_of(bedrock_converse, wire.PARALLEL, one_call=True)["content"]
    assert content == [text("On it."), use("a", "tooluse_a", n=1)]


def test_missing_metadata_is_estimated() -> None:
    usage = reduce(feed(bedrock_converse.reader(reply(prompt_estimate=9)), [wire.NO_METADATA]))["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["estimated"]) == (9, 2, True)


BROKEN = {
    "at chunk 0": (wire.ERROR_FIRST, "rate_limit_error", False),
    "mid-block": (wire.ERROR_INSIDE, "rate_limit_error", False),
    "between blocks": (wire.ERROR_BETWEEN, "rate_limit_error", False),
    "overloaded": (wire.BUSY, "overloaded_error", True),
    "a malformed call": (wire.MALFORMED, "api_error", True),
    "cut": (wire.TRUNCATED, "api_error", True),
    "garbage": (wire.GARBAGE, "api_error", False),
    "nonsense": (wire.NONSENSE, "api_error", False),
    "nothing at all": (b"", "api_error", True),
}


@pytest.mark.parametrize(("stream", "kind", "retry"), BROKEN.values(), ids=BROKEN)
def test_a_broken_stream_ends_in_an_error_and_never_as_finished(
    stream: bytes, kind: str, retry: bool
) -> None:
    events = feed(bedrock_converse.reader(reply()), [stream])
    assert [event["type"] for event in events if event["type"] in ("error", "message_stop")] == ["error"]
    assert events[-1]["error"]["type"] == kind
    assert events[-1].get("retry", False) is retry


def test_every_chunking_of_the_bytes_gives_the_same_events() -> None:
    stream = wire.BEGIN + wire.tool(0, "a", "tooluse_a", '{"t":"é"}') + wire.finish("tool_use")
    whole = feed(bedrock_converse.reader(reply()), [stream])
    for pieces in splits(stream):
        assert feed(bedrock_converse.reader(reply()), pieces) == whole


ANSWER: Json = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "sig"}}},
                {"text": "On it."},
                {"toolUse": {"toolUseId": "tooluse_a", "name": "a", "input": {"n": 1}}},
                {"toolUse": {"toolUseId": "tooluse_b", "name": "b", "input": {}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": wire.USAGE,
    "metrics": {"latencyMs": 5},
}


def test_a_whole_answer_becomes_its_message() -> None:
    message = bedrock_converse.read_answer(ANSWER, reply(model=CLAUDE))
    assert message["content"] == [
        thinking("Hm.", "sig"),
        text("On it."),
        use("a", "tooluse_a", n=1),
        use("b", "tooluse_b"),
    ]
    assert (message["stop_reason"], message["usage"]) == ("tool_use", FIGURES)


def test_a_whole_answer_that_nobody_can_read_may_be_asked_for_again() -> None:
    with pytest.raises(AnswerFailed) as failed:
        bedrock_converse.read_answer({**ANSWER, "stopReason": "malformed_model_output"}, reply())
    assert failed.value.retry
