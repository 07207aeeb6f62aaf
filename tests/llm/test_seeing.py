"""What a call leaves behind for whoever operates the gateway: outcomes, losses, credentials that are no longer good."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.llm.routes import ModelRule, Target
from gateway.middleware.usage import UsageMiddleware
from gateway.stores.memory import MemoryStore
from gateway.telemetry import outcomes
from gateway.telemetry.access import AccessLog
from gateway.telemetry.metrics import Metrics
from tests.dialects import specified_chat
from tests.llm.gateways import (
    CHAT,
    COMPLETION,
    EVENTS,
    MESSAGE,
    OVERLOADED,
    QUICK,
    REQUEST,
    STREAM,
    STREAM_HEAD,
    Seen,
    chunk,
    each,
    gateway,
    streaming,
)
from tests.llm.scripted import driver, scripted, streamed, whole
from tests.net.upstream import answer, repeat

JSON = b"content-type: application/json\r\n"
CUT = specified_chat.first() + specified_chat.text("Hel")
FAILURES: dict[str, tuple[str, bytes, Any, int]] = {
    "cut after content": ("openai-chat", CUT, STREAM, 200),
    "an error after content": ("openai-chat", specified_chat.ERROR_INSIDE, STREAM, 200),
    "an error at once": ("openai-chat", specified_chat.ERROR_FIRST, STREAM, 429),
    "the same dialect, cut": ("anthropic", "".join(EVENTS[:3]).encode(), STREAM, 200),
    "the same dialect, an error": ("anthropic", "".join([*EVENTS[:3], OVERLOADED]).encode(), STREAM, 200),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_a_stream_that_fails_is_the_providers_failure_and_nobodys_refusal(case: str) -> None:
    wire, stream, body, status = FAILURES[case]
    app, provider = scripted(wire)
    provider.answers = [streamed(wire, stream)]
    store, seen = MemoryStore(), Seen()
    metered = UsageMiddleware(app, store=store, linger=0, watch=False)
    reply = await driver(metered, seen).post("/v1/messages", body)
    assert reply.status == status
    (record,) = await store.records()
    assert (record.outcome, record.policy) == ("upstream_error", "")
    del seen.calls[0].records[:]
    assert outcomes.of(seen.calls[0])[0].outcome == record.outcome


async def test_a_provider_that_stays_silent_is_a_timeout() -> None:
    async def script(peer: Any) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk("".join(EVENTS[:3])))
        await peer.gone()

    async with gateway(script, timeouts=replace(QUICK, idle=0.05)) as gw:
        store = MemoryStore()
        app = UsageMiddleware(gw.app, store=store, linger=0, watch=False)
        reply = await driver(app).post("/v1/messages", STREAM)
        assert b"timeout_error" in reply.body
        (record,) = await store.records()
        assert (record.outcome, record.status) == ("timeout", 504)


async def test_what_a_translation_leaves_out_is_counted_and_logged() -> None:
    metrics, lines = Metrics(), []

    class Lines:
        def write(self, line: Any) -> None:
            lines.append(line)

    app, provider = scripted("openai-chat")
    provider.answers = [whole(COMPLETION), whole(COMPLETION)]
    drive = driver(app, metrics, AccessLog(Lines()))
    assert (await drive.post("/v1/messages", {**REQUEST, "top_k": 5, "shiny": 1})).status == 200
    assert metrics.losses.series[("anthropic", "openai-chat", "shiny")] == [1.0]
    assert metrics.losses.series[("anthropic", "openai-chat", "top_k")] == [1.0]
    assert lines[0].losses == ["shiny", "top_k"]
    assert (await drive.post("/v1/chat/completions", {**CHAT, "shiny": 1})).status == 200
    assert not lines[1].losses
    assert json.loads(provider.asked[1])["shiny"] == 1


async def test_losses_on_the_way_in_count_too() -> None:
    app, provider = scripted("anthropic")
    provider.answers = [whole(MESSAGE)]
    metrics = Metrics()
    drive = driver(app, metrics)
    assert (await drive.post("/v1/chat/completions", {**CHAT, "seed": 5})).status == 200
    assert metrics.losses.series == {("openai-chat", "anthropic", "seed"): [1.0]}


@pytest.mark.parametrize("dialect", ["anthropic", "openai-chat"])
async def test_a_credential_that_the_provider_refuses_is_told_to_the_operator(
    dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused = answer(
        b'{"error":{"type":"authentication_error","message":"bad key"}}',
        status=b"401 Unauthorized",
        headers=JSON,
    )
    async with gateway(repeat(refused), dialects=[dialect]) as gw:
        metrics = Metrics()
        drive = driver(gw.app, metrics)
        reply = await drive.post("/v1/messages", REQUEST)
        assert (reply.status, reply.json["error"]["type"]) == (500, "api_error")
        assert "bad key" not in reply.body.decode()
        assert metrics.disowned.series == {("one",): [1.0]}
        assert "alert: provider one" in caplog.text


async def test_it_is_told_too_where_another_provider_saves_the_call() -> None:
    refused = answer(b"{}", status=b"401 Unauthorized", headers=JSON)
    rule = ModelRule(match="*", to=(Target("one"), Target("two")))
    async with gateway(repeat(refused), each(answer(MESSAGE, headers=JSON)), models=[rule]) as gw:
        metrics = Metrics()
        drive = driver(gw.app, metrics)
        assert (await drive.post("/v1/messages", REQUEST)).status == 200
        assert metrics.disowned.series == {("one",): [1.0]}


async def test_an_overload_before_content_goes_elsewhere_and_is_no_failure() -> None:
    rule = ModelRule(match="*", to=(Target("one"), Target("two")))
    async with gateway(streaming(EVENTS[0], OVERLOADED), streaming(*EVENTS), models=[rule]) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM)
        assert b"hello" in reply.body
        assert outcomes.of(gw.call)[0].outcome == "ok"
