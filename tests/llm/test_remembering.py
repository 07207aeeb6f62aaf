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


def call_of(reply: Any, *, stream: bool) -> Any:
    """The call as an OpenAI client would send it back: it knows of no signature."""
    if not stream:
        return reply.json["choices"][0]["message"]["tool_calls"][0]
    chunks = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: {")]
    pieces = [p for c in chunks for choice in c["choices"] for p in choice["delta"].get("tool_calls") or ()]
    return {"id": pieces[0]["id"], "type": "function", "function": {"name": "a", "arguments": '{"n":1}'}}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_client_keeps_geminis_signatures(stream: bool) -> None:
    app, provider = scripted("gemini")
    metrics = Metrics()
    drive = driver(app, metrics)
    provider.answers = [
        streamed("gemini", specified_gemini.PARALLEL)
        if stream
        else whole(orjson.dumps(specified_gemini.SIGNED)),
        whole(orjson.dumps(specified_gemini.SIGNED)),
    ]
    reply = await drive.post("/v1/chat/completions", {**FIRST, "stream": stream})
    call = call_of(reply, stream=stream)
    turn = [
        *CHAT["messages"],
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "1"},
    ]
    assert (await drive.post("/v1/chat/completions", {**FIRST, "messages": turn})).status == 200
    contents = json.loads(provider.asked[1])["contents"]
    (part,) = [p for c in contents for p in c["parts"] if "functionCall" in p]
    assert part["thoughtSignature"] == "U2ln"
    assert not any(labels[2] == "thought_signature" for labels in metrics.losses.series)


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
