"""OpenRouter's reasoning goes back as it came, and nowhere else. Its item shapes are those that it documents."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.llm.dialects import MODULES, dialect, openai_chat
from gateway.llm.dialects.protocol import Json
from gateway.llm.rows import ROWS
from tests.dialects import grammar
from tests.dialects import specified_chat as wire
from tests.dialects.conversations import assistant, result, use, user
from tests.dialects.driving import feed, message_of, outbound, reply, splits

QUIRKS = ROWS["openrouter"].quirks
CLAUDE = {
    "type": "reasoning.text",
    "text": "Which file?",
    "signature": "c2ln",
    "format": "anthropic-claude-v1",
    "index": 0,
}
SEALED = {
    "type": "reasoning.encrypted",
    "data": "U2ln",
    "format": "google-gemini-v1",
    "id": "call_a",
    "index": 0,
}
SUMMED = {"type": "reasoning.summary", "summary": "Files.", "format": "openai-responses-v1", "index": 0}
CIPHER = {
    "type": "reasoning.encrypted",
    "data": "gAAA",
    "format": "openai-responses-v1",
    "id": "rs_1",
    "index": 1,
}


def details(*items: Json, **delta: Any) -> bytes:
    return wire.chunk({**delta, "reasoning_details": list(items)}, usage=None)


def pieces(item: Json, *texts: str) -> list[bytes]:
    """As OpenRouter cuts a text: the signature comes last, in a piece of its own."""
    plain = {key: value for key, value in item.items() if key not in ("text", "signature")}
    cut = [details({**plain, "text": text, "signature": None}, reasoning=text, content="") for text in texts]
    return [*cut, details({**plain, "text": "", "signature": item["signature"]}, reasoning=None)]


CALLED = wire.begin(0, "get", "call_a") + wire.grow(0, "{}")
STREAMS: dict[str, tuple[bytes, list[Json]]] = {
    "Claude": (b"".join(pieces(CLAUDE, "Which ", "file?")) + CALLED, [CLAUDE]),
    "Gemini": (wire.chunk({"reasoning_details": [SEALED], **wire.call(0, "{}", id="call_a", type="function", name="get")}), [SEALED]),
    "OpenAI": (details(SUMMED, reasoning="Files.") + details(CIPHER) + CALLED, [SUMMED, CIPHER]),
    "after the call": (CALLED + details(SEALED), [SEALED]),
}  # fmt: skip


def sent(content: list[Json], quirks: frozenset[str] = QUIRKS) -> Json:
    hub = {"messages": [user("go"), assistant(*content), user(result("call_a", "1"))]}
    body: Json = outbound(openai_chat, hub, "up", quirks=quirks).body
    return body


@pytest.mark.parametrize(("middle", "items"), STREAMS.values(), ids=STREAMS)
def test_the_items_come_back_as_they_were(middle: bytes, items: list[Json]) -> None:
    stream = wire.first() + middle + wire.finish("tool_calls")
    content = message_of(openai_chat, stream)["content"]
    assert sent(content)["messages"][1]["reasoning_details"] == items
    for size in splits(stream):
        events = feed(openai_chat.reader(reply()), size)
        grammar.hub(events)
    answered = {"content": None, "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "get", "arguments": "{}"}}],
                "reasoning_details": items}  # fmt: skip
    whole = openai_chat.read_answer(
        {"choices": [{"message": answered, "finish_reason": "tool_calls"}]}, reply()
    )
    assert sent(whole["content"])["messages"][1]["reasoning_details"] == items


def test_the_text_of_items_is_shown_where_nothing_else_is() -> None:
    stream = wire.first() + details({"type": "reasoning.text", "text": "Hm.", "index": 0}) + wire.TEXT
    assert message_of(openai_chat, stream)["content"][0]["thinking"] == "Hm."


@pytest.mark.parametrize("provider", [name for name in MODULES if hasattr(dialect(name), "write_request")])
def test_no_other_provider_sees_them(provider: str) -> None:
    stream = wire.first() + STREAMS["Claude"][0] + wire.finish("tool_calls")
    content = message_of(openai_chat, stream)["content"]
    hub = {"messages": [user("go"), assistant(*content), user(result("call_a", "1"))], "max_tokens": 10}
    body = outbound(dialect(provider), hub, "up").body
    assert "or1." not in str(body)
    assert "reasoning_details" not in str(body)


@pytest.mark.parametrize("data", ["or1.%%%", "or1.e30=", "or1."])
def test_what_a_client_made_up_is_left_out(data: str) -> None:
    body = sent([{"type": "redacted_thinking", "data": data}, use("get", "call_a")])
    assert "reasoning_details" not in body["messages"][1]


ASKED: list[tuple[Json, Json | None]] = [
    ({}, None),
    ({"thinking": {"type": "disabled"}}, {"effort": "none"}),
    ({"thinking": {"type": "adaptive"}}, {"enabled": True}),
    ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, {"effort": "high"}),
    ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, {"max_tokens": 5000}),
]


@pytest.mark.parametrize(("asked", "told"), ASKED)
def test_thinking_is_asked_for_in_its_own_words(asked: Json, told: Json | None) -> None:
    hub = {"messages": [user("hi")], "temperature": 1, **asked}
    made = outbound(openai_chat, hub, "anthropic/claude-sonnet-4.5", quirks=QUIRKS)
    assert made.body.get("reasoning") == told
    assert "reasoning_effort" not in made.body
    assert "thinking" not in made.losses
