"""A guard before the real model handler and a scripted provider: what is cut ends the upstream, and is still metered."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.call import Call
from gateway.guards.rules import rules_from
from gateway.middleware.guard import GuardMiddleware
from tests.driver import Driver
from tests.guards.apps import GITHUB, anthropic, cut_text
from tests.llm.gateways import ANTHROPIC, STREAM, STREAM_HEAD, chunk, gateway
from tests.net.upstream import Peer


async def test_a_cut_stream_ends_the_provider_and_leaves_the_usage_so_far() -> None:
    left = asyncio.Event()
    frames = anthropic(*cut_text("All is well. " * 40 + f"The key is {GITHUB}. " + "More. " * 200, seed=1))

    async def provider(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD)
        for frame in frames[:-1]:
            await peer.write(chunk(frame))
        await peer.gone()  # it would say no more, and never end
        left.set()

    calls: list[Call] = []
    async with gateway(provider) as gw:
        guard = GuardMiddleware(
            gw.app, response=rules_from([{"scanner": "secrets", "action": "reject"}], phase="response")
        )

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            calls.append(Call.of(scope))
            await guard(scope, receive, send)
            await asyncio.sleep(0)  # nobody was cancelled on the way

        reply = await Driver(outer).post("/v1/messages", STREAM, headers=ANTHROPIC)
        async with asyncio.timeout(5):
            await left.wait()
    said = reply.body.decode()
    assert GITHUB not in said
    assert said.rsplit("event: ", 1)[1].startswith("error\n")
    assert "message_stop" not in said
    assert calls[0].refusal is not None
    assert calls[0].refusal.policy == "guard"


async def test_masked_prompts_reach_the_provider_masked_with_the_right_length() -> None:
    asked: list[bytes] = []

    async def provider(peer: Peer) -> None:
        asked.append(await peer.request())
        await peer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n"
            + b'{"content":[]}'
        )

    async with gateway(provider) as gw:
        guard = GuardMiddleware(gw.app, request=rules_from([{"scanner": "secrets", "action": "mask"}]))
        body = {
            "model": "claude-x",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": f"use {GITHUB}"}],
        }
        reply = await Driver(guard).post("/v1/messages", body, headers=ANTHROPIC)
    assert reply.status == 200
    assert GITHUB.encode() not in asked[0]
    assert b"[[secrets:" in asked[0]
