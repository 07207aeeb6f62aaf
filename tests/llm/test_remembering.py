"""Clients that drop thinking keep the signatures that Gemini wants back; prompt caching is passed on and priced."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from gateway.metering.prices import Prices
from gateway.metering.usage import Usage
from gateway.middleware.usage import UsageMiddleware
from gateway.stores.memory import MemoryStore
from gateway.telemetry.metrics import Metrics
from tests.dialects import specified_gemini
from tests.llm.gateways import CHAT, MESSAGE, REQUEST
from tests.llm.scripted import driver, scripted, streamed, whole

TOOLS = [{"type": "function", "function": {"name": "a", "parameters": {"type": "object", "properties": {}}}}]
FIRST = {**CHAT, "model": "gemini-3.8-pro", "tools": TOOLS}


def call_of(reply: Any, *, stream: bool, replays: bool) -> Any:
    """The call as a client sends it back: whole, as the SDKs' own objects are, or without what OpenAI does not know."""
    if stream:
        lines = [line[6:] for line in reply.body.decode().splitlines() if line.startswith("data: {")]
        choices = [choice for line in lines for choice in json.loads(line)["choices"]]
        call = next(piece for choice in choices for piece in choice["delta"].get("tool_calls") or ())
        call["function"]["arguments"] = '{"n":1}'
    else:
        call = reply.json["choices"][0]["message"]["tool_calls"][0]
    return call if replays else {key: call[key] for key in ("id", "type", "function")}


@pytest.mark.parametrize("replays", [False, True], ids=["forgetful client", "another machine"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_client_keeps_geminis_signatures(stream: bool, replays: bool) -> None:
    app, provider = scripted("gemini")
    other = scripted("gemini") if replays else (app, provider)
    metrics = Metrics()
    drive = driver(app, metrics)
    provider.answers = [
        streamed("gemini", specified_gemini.PARALLEL)
        if stream
        else whole(orjson.dumps(specified_gemini.SIGNED))
    ]
    other[1].answers.append(whole(orjson.dumps(specified_gemini.SIGNED)))
    reply = await drive.post("/v1/chat/completions", {**FIRST, "stream": stream})
    call = call_of(reply, stream=stream, replays=replays)
    turn = [
        *CHAT["messages"],
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "1"},
    ]
    later = driver(other[0], metrics)
    assert (await later.post("/v1/chat/completions", {**FIRST, "messages": turn})).status == 200
    contents = json.loads(other[1].asked[-1])["contents"]
    (part,) = [p for c in contents for p in c["parts"] if "functionCall" in p]
    assert part["thoughtSignature"] == "U2ln"
    assert not any(labels[2] == "thought_signature" for labels in metrics.losses.series)


THOUGHT = {"type": "thinking", "thinking": "Which file?", "signature": "Q2xhdWRl"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {"n": 1}}
TALKED = {
    **json.loads(MESSAGE),
    "content": [THOUGHT, {"type": "text", "text": "Look:"}, USE],
    "stop_reason": "tool_use",
}


async def thinking_call() -> tuple[Any, Any]:
    """Claude's call, as a chat client got it, and the turn in which that comes back."""
    app, provider = scripted("anthropic")
    provider.answers = [whole(orjson.dumps(TALKED))]
    reply = await driver(app).post("/v1/chat/completions", {**FIRST, "model": "claude-x"})
    message = reply.json["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
    return message, [*CHAT["messages"], message, result]


async def test_claudes_thinking_comes_back_from_a_chat_client_that_replays_its_calls() -> None:
    _, turn = await thinking_call()
    app, provider = scripted("anthropic")
    provider.answers = [whole(MESSAGE)]
    body = {**FIRST, "model": "claude-x", "reasoning_effort": "high", "messages": turn}
    assert (await driver(app).post("/v1/chat/completions", body)).status == 200
    assert json.loads(provider.asked[0])["messages"][1]["content"] == TALKED["content"]


async def test_what_a_call_carries_reaches_no_chat_provider() -> None:
    message, turn = await thinking_call()
    app, provider = scripted("openai-chat")
    provider.answers = [whole(orjson.dumps({"choices": []}))]
    await driver(app).post("/v1/chat/completions", {**FIRST, "messages": turn})
    sent = json.loads(provider.asked[0])["messages"]
    assert sent[1]["tool_calls"] == [
        {key: value for key, value in message["tool_calls"][0].items() if key != "extra_content"}
    ]
    assert sent[1]["content"] == "Look:"


async def test_a_call_that_nobody_remembers_is_sent_with_googles_word_and_counted() -> None:
    app, provider = scripted("gemini")
    metrics = Metrics()
    provider.answers = [whole(orjson.dumps(specified_gemini.SIGNED))]
    call = {"id": "call_9", "type": "function", "function": {"name": "a", "arguments": "{}"}}
    turn = [
        *CHAT["messages"],
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_9", "content": "1"},
    ]
    await driver(app, metrics).post("/v1/chat/completions", {**FIRST, "messages": turn})
    assert b"skip_thought_signature_validator" in provider.asked[0]
    assert metrics.losses.series[("openai-chat", "gemini", "thought_signature")] == [1.0]


CACHED = {
    "anthropic": ({"input_tokens": 10, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 100, "output_tokens": 5},
                  Usage(10, 5, 1000, 100)),
    "openai-chat": ({"prompt_tokens": 1010, "completion_tokens": 5, "total_tokens": 1015, "prompt_tokens_details": {"cached_tokens": 1000}},
                    Usage(10, 5, 1000, 0)),
}  # fmt: skip
PRICES = {"claude-x": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75}}


@pytest.mark.parametrize("wire", CACHED)
async def test_cache_hits_are_told_to_the_client_and_priced(wire: str) -> None:
    figures, usage = CACHED[wire]
    app, provider = scripted(wire)
    answers = {"anthropic": json.loads(MESSAGE), "openai-chat": {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}]}}  # fmt: skip
    provider.answers = [whole(orjson.dumps({**answers[wire], "usage": figures}))]
    store = MemoryStore()
    metered = UsageMiddleware(app, store=store, prices=PRICES, linger=0, watch=False)
    long = {"type": "text", "text": "word " * 800, "cache_control": {"type": "ephemeral"}}
    reply = await driver(metered).post("/v1/messages", {**REQUEST, "system": [long]})
    assert reply.json["usage"]["cache_read_input_tokens"] == 1000
    assert (b"cache_control" in provider.asked[0]) is (wire == "anthropic")
    (record,) = await store.records()
    assert record.usage == usage
    assert record.usd == pytest.approx(Prices(PRICES).cost(usage, model="claude-x")[0])
    assert record.usd == pytest.approx((10 * 3 + 5 * 15 + 1000 * 0.3 + usage.cache_write * 3.75) / 1e6)
