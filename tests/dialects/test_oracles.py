"""What the client's own SDK makes of the gateway's bytes is what the provider's own SDK makes of the provider's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from google.genai import types

from gateway.llm.dialects import anthropic, dialect, gemini
from gateway.llm.dialects.protocol import Json, Options, Request, Target
from gateway.llm.dialects.reduce import expand, reduce
from tests.dialects import oracles, specified_anthropic, specified_chat, test_gemini_answers
from tests.dialects.driving import feed, message_of, reply, sse, written
from tests.dialects.oracles_google import gemini_answer, gemini_stream, request_of, serving
from tests.dialects.words import STREAMS, differences, plain

GEMINI = {case: sse(*chunks) for case, (chunks, _, _) in test_gemini_answers.ANSWERS.items()
          if case not in ("a web search", "code that Google ran", "a finish reason that is new")}  # fmt: skip
CHAT = {
    name: stream
    for name, stream in vars(specified_chat).items()
    if isinstance(stream, bytes)
    and stream.endswith(specified_chat.DONE)
    and b'"finish_reason":"' in stream
    and b'"error"' not in stream
}

UPSTREAMS: dict[str, tuple[dict[str, bytes], Callable[[bytes], Json]]] = {
    "gemini": (GEMINI, gemini_stream),
    "anthropic": (specified_anthropic.STREAMS, oracles.anthropic_stream),
}
CASES = [
    (upstream, client, case)
    for (upstream, (streams, _)), client in product(UPSTREAMS.items(), STREAMS)
    for case in streams
    if client != upstream
]


@pytest.mark.parametrize(("upstream", "client", "case"), CASES)
def test_the_clients_sdk_reads_what_the_providers_sdk_reads(upstream: str, client: str, case: str) -> None:
    streams, oracle = UPSTREAMS[upstream]
    reader = dialect(upstream).reader(reply())
    events = [*reader.feed(streams[case]), *reader.end()]
    stream = written(dialect(client), events, wire={"sse": True, "thoughts": True, "include_usage": True})
    assert differences(upstream, oracle(streams[case]), client, STREAMS[client](stream)) == {}


@pytest.mark.parametrize("client", [client for client in STREAMS if client != "anthropic"])
def test_a_block_of_a_kind_that_is_new_does_not_stop_an_answer(client: str) -> None:
    events = feed(anthropic.reader(reply()), [specified_anthropic.NEW_BLOCK])
    stream = written(dialect(client), events, wire={"sse": True, "include_usage": True})
    assert STREAMS[client](stream)["text"] == "ok"


@pytest.mark.parametrize("case", CHAT)
def test_a_chat_provider_reaches_google_genai(case: str) -> None:
    """What the hub makes of these streams is held against OpenAI's SDK where they are specified."""
    message = message_of(dialect("openai-chat"), CHAT[case])
    told = plain(gemini_stream(written(gemini, expand(message), wire={"sse": True, "thoughts": True})))
    assert told == plain(oracles.anthropic_words(message))


@pytest.mark.parametrize(
    "case",
    [
        case
        for case, (chunks, _, _) in test_gemini_answers.ANSWERS.items()
        if len(chunks) == 1 and case in GEMINI
    ],
)
def test_whole_answers_too(case: str) -> None:
    (body,), _, _ = test_gemini_answers.ANSWERS[case]
    meant = plain(gemini_answer(body))
    message = gemini.read_answer(body, reply())
    told = plain({**oracles.anthropic_words(message), "stop": message["stop_reason"]})
    assert {key: told[key] for key in ("text", "calls", "thoughts", "stop")} == {
        key: meant[key] for key in ("text", "calls", "thoughts", "stop")
    }
    again = plain(
        gemini_answer(gemini.write_answer(message, Request({}, model="m", wire={"thoughts": True})))
    )
    assert again["text"] == meant["text"]
    assert again["calls"] == meant["calls"]


def look(at: str) -> str:
    """Looks at something."""
    return at


CONFIG = types.GenerateContentConfig(
    system_instruction="Be kind.",
    temperature=0.5,
    max_output_tokens=99,
    stop_sequences=["END"],
    tools=[look],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    tool_config=types.ToolConfig(
        function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    ),
    thinking_config=types.ThinkingConfig(thinking_budget=2048, include_thoughts=True),
)
HISTORY: list[Any] = [
    types.Content(role="user", parts=[types.Part.from_text(text="go"), types.Part.from_bytes(data=b"\xff\xfe\xfd", mime_type="image/png")]),
    types.Content(role="model", parts=[types.Part(function_call=types.FunctionCall(id="c1", name="look", args={"snake_case": "x"}), thought_signature=b"\xff\xfe\xfd")]),
    types.Content(role="user", parts=[types.Part.from_function_response(name="look", response={"result": {"ok": True}})]),
]  # fmt: skip


def test_what_google_genai_sends_is_read_whole() -> None:
    url, body = request_of(
        lambda google: google.models.generate_content(model="claude-x", contents=HISTORY, config=CONFIG)
    )
    assert url.endswith("/models/claude-x:generateContent")
    request = gemini.read_request(body, Target(model="claude-x"))
    assert request.losses == []
    hub = request.hub
    assert hub["system"] == [{"type": "text", "text": "Be kind."}]
    assert {key: hub[key] for key in ("temperature", "max_tokens", "stop_sequences", "tool_choice")} == {
        "temperature": 0.5, "max_tokens": 99, "stop_sequences": ["END"], "tool_choice": {"type": "any"},
    }  # fmt: skip
    assert hub["thinking"] == {"type": "enabled", "budget_tokens": 2048, "display": "summarized"}
    assert hub["tools"][0]["name"] == "look"
    assert hub["tools"][0]["input_schema"]["properties"]["at"]["type"] == "string"
    first, second, third = hub["messages"]
    assert first["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": "//79"}
    assert second["content"] == [
        {"type": "thinking", "thinking": "", "signature": "gm1.c.__79"},
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"snake_case": "x"}},
    ]
    assert third["content"][0]["tool_use_id"] == "c1"


def test_what_google_genai_counts_is_read() -> None:
    url, body = request_of(lambda google: google.models.count_tokens(model="claude-x", contents="hi"))
    assert url.endswith(":countTokens")
    request = gemini.read_request(body, Target(model="claude-x", count=True))
    assert request.hub["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]


def test_what_the_gateway_sends_google_is_of_google_genais_own_types() -> None:
    hub = anthropic.read_request({"model": "m", "max_tokens": 9, "messages": gemini.read_request({"contents": [c.model_dump(mode="json", exclude_none=True, by_alias=True) for c in HISTORY]}, Target(model="m")).hub["messages"],
                                  "tools": [{"name": "look", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}}], "thinking": {"type": "adaptive"}}, Target()).hub  # fmt: skip
    body = gemini.write_request(hub, Options(model="gemini-3-pro")).body
    for content in body["contents"]:
        types.Content.model_validate(content)
    types.Tool.model_validate(body["tools"][0])
    types.GenerateContentConfig.model_validate(body["generationConfig"])


def test_a_google_chat_goes_on_after_the_gateways_pings() -> None:
    """A chat keeps its history only where every chunk is one that the SDK takes for valid."""
    writer = gemini.writer(Request({}, model="m", stream=True))
    events = feed(anthropic.reader(reply()), [specified_anthropic.EVERYTHING])
    stream = (
        writer.ping()
        + b"".join(writer.write(event) + writer.ping() for event in events[:-2])
        + b"".join(writer.write(event) for event in events[-2:])
    )
    chat = serving(stream, "text/event-stream").chats.create(model="m")
    assert list(chat.send_message_stream("go"))
    kept = chat.get_history(curated=True)
    assert [content.role for content in kept][:2] == ["user", "model"]
    assert any(part.function_call for content in kept for part in content.parts or ())


def test_reduced_events_are_the_same_message_for_the_sdk() -> None:
    events = feed(anthropic.reader(reply()), [specified_anthropic.EVERYTHING])
    assert oracles.anthropic_words(reduce(events)) == oracles.anthropic_stream(specified_anthropic.EVERYTHING)
