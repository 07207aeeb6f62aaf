"""Clients that wait on a provider which says nothing for a long time: thinking models begin late, overloaded ones fail late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.llm.pulse import Pulse
from gateway.llm.routes import ModelRule, Target
from tests.dialects import grammar, grammar_openai, specified_chat
from tests.llm.gateways import CHAT, EVENTS, STREAM, STREAM_HEAD, chunk, gateway
from tests.llm.test_translating import CLIENTS
from tests.net.upstream import Peer, Script, answer

FAILED = answer(
    b'{"error":{"message":"Try later"}}',
    status=b"429 Too Many",
    headers=b"content-type: application/json\r\n",
)
BLIP = answer(
    b'{"error":{"message":"Oops"}}', status=b"503 Unavailable", headers=b"content-type: application/json\r\n"
)


def late(*answers: bytes) -> tuple[Script, Any]:
    """Says nothing until `release` is set; then each answer in turn."""
    release, left = asyncio.Event(), list(answers)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await release.wait()
            await peer.write(left.pop(0) if len(left) > 1 else left[0])

    return script, release


GRAMMARS = {
    "anthropic": grammar.anthropic,
    "openai-responses": grammar_openai.responses,
    "gemini": grammar.gemini,
}


@pytest.mark.parametrize("client", GRAMMARS)
async def test_a_client_hears_something_before_the_providers_head(client: str) -> None:
    stream = STREAM_HEAD + chunk(specified_chat.PARALLEL) + b"0\r\n\r\n"
    script, release = late(stream)
    path, body = CLIENTS[client]

    def pinged(reply: Any) -> bool:
        if len(reply.chunks) >= 2:
            release.set()
        return False

    async with gateway(script, dialects=["openai-chat"], silence=0.01) as gw:
        reply = await gw.drive.post(path, body, leave_after=pinged)
        assert reply.status == 200
        assert reply.complete
        GRAMMARS[client](reply.body, whole=True)
        assert [m["type"] for m in reply.messages].count("http.response.start") == 1


@pytest.mark.parametrize(
    ("answers", "said"), [((FAILED,), b"rate_limit_error"), ((BLIP, BLIP, BLIP), b"overloaded_error")]
)
async def test_a_failure_after_the_first_ping_is_an_event(answers: tuple[bytes, ...], said: bytes) -> None:
    script, release = late(*answers)

    def pinged(reply: Any) -> bool:
        if reply.chunks:
            release.set()
        return False

    async with gateway(script, dialects=["openai-chat"], silence=0.01) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, leave_after=pinged)
        assert reply.status == 200
        assert said in reply.body
        assert reply.complete
        grammar.anthropic(reply.body, whole=False)
        assert gw.call.usage is None


async def test_a_failure_after_the_first_ping_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await release.wait()  # and leaves

    def pinged(reply: Any) -> bool:
        if reply.chunks:
            release.set()
        return False

    async with gateway(script, dialects=["openai-chat"], silence=0.01, retries=0) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, leave_after=pinged)
        assert b"event: error" in reply.body
        said = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
        assert said == [f"{gw.call.id} /v1/messages: the upstream closed the connection without an answer"]


async def test_a_client_that_does_not_read_is_sent_one_ping_at_a_time() -> None:
    at_once, most, enough = 0, 0, asyncio.Event()

    async def ping() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if most > 1:
            enough.set()
        await asyncio.sleep(0.02)
        at_once -= 1
        sent.append(None)
        if len(sent) == 3:
            enough.set()

    sent: list[None] = []
    pulse = Pulse(ping, 0.001)
    await enough.wait()
    pulse.stop()
    assert most == 1


async def test_after_a_ping_another_provider_still_saves_the_call() -> None:
    script, release = late(BLIP)
    saved, there = late(STREAM_HEAD + chunk(specified_chat.TEXT) + b"0\r\n\r\n")
    there.set()

    def pinged(reply: Any) -> bool:
        if reply.chunks:
            release.set()
        return False

    rule = ModelRule(match="*", to=(Target("one"), Target("two")))
    async with gateway(script, saved, dialects=["openai-chat"] * 2, models=[rule], silence=0.01) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM, leave_after=pinged)
        grammar.anthropic(reply.body, whole=True)
        assert gw.call.provider == "two"


async def test_where_a_provider_of_the_clients_dialect_may_answer_nothing_is_said_before_its_head() -> None:
    script, release = late(STREAM_HEAD + chunk("".join(EVENTS)) + b"0\r\n\r\n")
    release.set()
    async with gateway(script, silence=0.001) as gw:
        reply = await gw.drive.post("/v1/messages", STREAM)
        assert reply.body == "".join(EVENTS).encode()


async def test_a_failure_before_the_first_ping_keeps_its_status() -> None:
    script, release = late(FAILED)
    release.set()
    async with gateway(script, dialects=["anthropic"], silence=60) as gw:
        assert (await gw.drive.post("/v1/chat/completions", {**CHAT, "stream": True})).status == 429
