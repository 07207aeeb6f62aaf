"""Limits, budgets and the ledger through a whole gateway: what is reserved, settled and told, whatever becomes of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.limits import standing
from gateway.limits.demand import compiled
from gateway.limits.rules import Budget
from gateway.metering.record import Record
from gateway.middleware.expressions import callable_of
from tests.llm.gateways import EVENTS, STREAM_HEAD, chunk, event, streaming
from tests.net.upstream import Peer, Script, upstream
from tests.whole.running import KEY, POLICIES, Whole, whole

WORDS = "All happy families are alike; each unhappy family is unhappy in its own way. " * 20
PRICE = {"input": 10.0, "output": 100.0}
ASKED = {
    "model": "claude-x",
    "max_tokens": 1000,
    "stream": True,
    "messages": [{"role": "user", "content": WORDS * 4}],
}
HEAD = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
SAID = event("content_block_delta", f'"index":0,"delta":{{"type":"text_delta","text":"{WORDS}"}}')
START = event("message_start", '"message":{"id":"m","type":"message","role":"assistant","model":"claude-x","content":[],'
              '"stop_reason":null,"usage":{"input_tokens":1500,"output_tokens":1}}')  # fmt: skip
LIAR = START.replace("1500", "1")


@asynccontextmanager
async def gateway(
    script: Script,
    *,
    limit: str = "{tokens: 100000, per: 60s, key: principal.id, name: tokens}",
    dialect: str = "anthropic",
) -> AsyncIterator[Whole]:
    async with upstream(script) as up:
        base = up.url + ("/v1" if dialect.startswith("openai") else "")
        text = (
            "store: \"memory:\"\ntelemetry: {log: 'off'}\n" + POLICIES[:-2] + ",\n"
            f"  ratelimit: {{limits: [{limit}],\n"
            "    budgets: [{usd: 10, per: day, key: principal.id, name: daily}]},\n"
            f"  usage: {{prices: {{'*': {{input: 10, output: 100}}}}}}}}\n"
            f"routes: [{{path: /, llm: {{providers: {{p: {{dialect: {dialect}, base_url: '{base}', api_key: sk-up}}}}}}}}]\n"
        )
        async with whole(text) as running:
            yield running


async def asked(gw: Whole, **changes: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(gw.url + "/v1/messages", json={**ASKED, **changes}, headers=HEAD)


async def recorded(gw: Whole) -> Record:
    (record,) = await gw.records(1)
    assert record.usage is not None
    assert record.usd == pytest.approx(
        (record.usage.input * PRICE["input"] + record.usage.output * PRICE["output"]) / 1e6
    )
    return record


async def charged(gw: Whole) -> float:
    """The dollars of the day's budget that are gone."""
    import time

    rules = compiled([], [Budget(usd=10, per="day", key="principal.id", name="daily")], callable_of)
    (row,) = await standing.standings(gw.resources.store, rules, now=time.time())
    return float(row["used"])


async def test_a_truthful_stream_is_charged_as_reported() -> None:
    told = event("message_delta", '"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":350}')
    async with gateway(streaming(START, EVENTS[1], SAID, EVENTS[3], told, EVENTS[5])) as gw:
        await asked(gw)
        record = await recorded(gw)
        assert record.usage is not None
        assert (record.usage.input, record.usage.output, record.usage.estimated) == (1500, 350, False)
        # Each step is rounded up to a millionth.
        assert await charged(gw) == pytest.approx(record.usd, abs=2e-6)


BROKEN = {
    "a stream cut in the middle": streaming(START, EVENTS[1], SAID, end=False),
    "a stream that ends without figures": streaming(START, EVENTS[1], SAID, EVENTS[3], EVENTS[5]),
    "a provider that lies": streaming(LIAR, EVENTS[1], SAID, EVENTS[3], EVENTS[4], EVENTS[5]),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
async def test_what_cannot_be_believed_is_estimated_charged_and_marked(script: Script) -> None:
    async with gateway(script) as gw:
        await asked(gw)
        record = await recorded(gw)
        assert record.usage is not None
        assert record.usage.estimated
        assert record.usage.output == pytest.approx(350, rel=0.25)
        assert record.usage.input == pytest.approx(1500, rel=0.25)
        # Each step is rounded up to a millionth.
        assert await charged(gw) == pytest.approx(record.usd, abs=2e-6)


async def test_a_translated_stream_without_figures_is_estimated_too() -> None:
    piece = 'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % WORDS  # noqa: UP031
    stop = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    async with gateway(streaming(piece, stop), dialect="openai-chat") as gw:
        answer = await asked(gw)
        assert "message_stop" in answer.text
        record = await recorded(gw)
        assert record.usage is not None
        assert record.usage.estimated
        assert record.usage.output == pytest.approx(350, rel=0.25)
        assert record.usage.input == pytest.approx(1500, rel=0.25)


async def test_when_the_client_leaves_in_the_middle_it_pays_for_what_was_written() -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(START) + chunk(EVENTS[1]) + chunk(SAID))
        await peer.gone()
        left.set()

    async with gateway(script) as gw:
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("POST", gw.url + "/v1/messages", json=ASKED, headers=HEAD) as answer,
        ):
            async for _ in answer.aiter_bytes():
                break
        await asyncio.wait_for(left.wait(), 5)
        record = await recorded(gw)
        assert record.outcome == "client_gone"
        assert record.usage is not None
        assert record.usage.estimated
        assert (record.usage.input, record.usage.output) == (1500, pytest.approx(385, rel=0.1))
        # Each step is rounded up to a millionth.
        assert await charged(gw) == pytest.approx(record.usd, abs=2e-6)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", ["anthropic", "openai-chat"])
async def test_when_the_client_leaves_before_the_answer_begins_it_pays_for_its_question(
    dialect: str, *, stream: bool
) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        left.set()

    async with gateway(script, dialect=dialect) as gw:
        async with httpx.AsyncClient(trust_env=False) as client:
            body = {**ASKED, "stream": stream}
            asking = asyncio.create_task(client.post(gw.url + "/v1/messages", json=body, headers=HEAD))
            await asyncio.wait_for(asked.wait(), 5)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait_for(left.wait(), 5)
        record = await recorded(gw)
        assert record.outcome == "client_gone"
        assert record.usage is not None
        assert record.usage.input == pytest.approx(1500, rel=0.25)
        assert record.usage.output == 0
        assert record.usage.estimated
        assert await charged(gw) == pytest.approx(record.usd, abs=2e-6)


async def test_what_the_upstream_never_took_is_not_charged() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}")

    async with gateway(script) as gw:
        answer = await asked(gw)
        assert answer.status_code >= 500
        (record,) = await gw.records(1)
        assert record.usage is None
        assert await charged(gw) == 0


async def test_only_so_many_calls_run_at_once_and_a_place_is_free_when_one_leaves() -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(START))
        begun.set()
        await peer.gone()
        free.set()

    async with gateway(script, limit="{concurrency: 1, key: principal.id, name: one at once}") as gw:
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("POST", gw.url + "/v1/messages", json=ASKED, headers=HEAD) as answer,
        ):
            await begun.wait()
            refused = await asked(gw)
            assert (answer.status_code, refused.status_code) == (200, 429)
            assert "one at once" in refused.json()["error"]["message"]
        await asyncio.wait_for(free.wait(), 5)
        await gw.records(2)
        begun.clear()
        again = asyncio.create_task(asked(gw))
        await asyncio.wait_for(begun.wait(), 5)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_an_upstream_that_breaks_before_it_answers_costs_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 500 oops\r\ncontent-length: 2\r\n\r\n{}")

    async with gateway(script) as gw:
        answer = await asked(gw)
        assert answer.status_code >= 500
        (record,) = await gw.records(1)
        assert (record.usd, record.usage) == (0.0, None)
        assert await charged(gw) == pytest.approx(0.0)


async def test_the_callers_own_figures_replace_those_of_the_shared_credential() -> None:
    body = b'{"type":"message","content":[],"usage":{"input_tokens":7,"output_tokens":3}}'
    shared = b"anthropic-ratelimit-requests-limit: 4000\r\nanthropic-ratelimit-unified-status: rejected\r\n"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (shared, len(body), body))  # fmt: skip

    async with gateway(script) as gw:
        answer = await asked(gw, stream=False)
        own = {
            name: value for name, value in answer.headers.items() if name.startswith("anthropic-ratelimit-")
        }
        assert own["anthropic-ratelimit-unified-status"] == "allowed"
        assert own["anthropic-ratelimit-tokens-limit"] == "100000"
        assert "anthropic-ratelimit-requests-limit" not in own
