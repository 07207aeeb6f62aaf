"""Answers that are given again, through a whole gateway: what they cost, who hears of them, and that no policy is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway.config.load import Broken, loads
from gateway.config.shape import json_schema
from gateway.llm.cache import KIND, Kept
from tests.driver import Driver
from tests.guards.apps import GITHUB
from tests.llm.gateways import EVENTS, MESSAGE, REQUEST, STREAM, streaming
from tests.net.upstream import Script, answer, repeat, upstream
from tests.whole.running import KEY, Whole, whole

CARD = b"4111 1111 1111 1111"
OTHER = "gw-other-key-0123456789"
HEAD = {"anthropic-version": "2023-06-01"}
FILE = """
store: {store}
telemetry: {{log: 'off'}}
policies:
  auth: {{keys: [{{key: {key}, id: tester, owner: ada@example.com}}, {{key: {other}, id: second}}]}}
  usage: {{prices: {{'*': {{input: 10, output: 100}}}}}}
  {policies}
routes:
  - path: /
    llm:
      providers: {{p: {{dialect: anthropic, base_url: '{url}', api_key: sk-up}}}}
      cache: {{ttl: 1h}}
"""


@asynccontextmanager
async def keeping(script: Script, *, policies: str = "", store: str = "'memory:'") -> AsyncIterator[Whole]:
    async with upstream(script) as up:
        text = FILE.format(store=store, policies=policies, key=KEY, other=OTHER, url=up.url)
        async with whole(text) as running:
            yield running


async def ask(gw: Whole, body: Any = REQUEST, *, key: str = KEY) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        reply = await client.post(gw.url + "/v1/messages", json=body, headers={**HEAD, "x-api-key": key})
    await gw.resources.cache({"ttl": 3600.0}).close()
    return reply


def json(body: bytes) -> Script:
    return repeat(answer(body, headers=b"content-type: application/json\r\n"))


async def test_a_hit_costs_nothing_and_the_ledger_says_what_it_saved() -> None:
    limits = "ratelimit: {budgets: [{usd: 0.005, per: day, key: principal.id}], limits: [{tokens: 60, per: 90d, key: principal.id}]}"
    async with keeping(json(MESSAGE), policies=limits) as gw:
        replies = [await ask(gw) for _ in range(12)]
        assert [reply.status_code for reply in replies] == [200] * 12
        assert [reply.headers["x-gateway-cache"] for reply in replies] == ["miss", *["hit"] * 11]
        assert {reply.content for reply in replies} == {MESSAGE}
        others = [await ask(gw, {**REQUEST, "n": n}) for n in range(12)]
        assert 429 in [reply.status_code for reply in others]  # what is asked anew does use them up
        records = await gw.records(24)
        paid, *free = [each for each in records if each.outcome == "ok"][::-1][:12]
        assert (paid.provider, paid.usd) == ("p", pytest.approx((7 * 10 + 3 * 100) / 1e6))
        for each in free:
            assert (each.provider, each.model, each.upstream_model) == ("cache", "claude-x", "claude-x")
            assert (each.usd, each.priced, each.usage, each.attempts) == (0.0, True, paid.usage, 0)
        totals = await gw.resources.store.usage(
            since=0, until=2e12, by=("provider",), where={"provider": "cache"}
        )
        assert [(each.calls, each.tokens, each.usd, each.unpriced) for each in totals] == [(11, 110, 0.0, 0)]


async def test_hits_and_misses_are_counted() -> None:
    async with keeping(json(MESSAGE)) as gw:
        for _ in range(3):
            await ask(gw)
        assert gw.gateway.running.metrics is not None
        shown = (await Driver(gw.gateway.running.metrics).get("/metrics")).body.decode()
    assert 'gateway_cache_lookups_total{result="hit"} 2' in shown
    assert 'gateway_cache_lookups_total{result="miss"} 1' in shown
    assert 'gen_ai_provider_name="cache"' in shown


async def test_policies_stand_before_what_is_kept() -> None:
    async with keeping(json(MESSAGE), policies="ratelimit: {limits: [{requests: 3, per: 1h}]}") as gw:
        assert (await ask(gw)).headers["x-gateway-cache"] == "miss"
        assert (await ask(gw, key="gw-nobodys-key-000")).status_code == 401
        assert (await ask(gw, key=OTHER)).headers["x-gateway-cache"] == "miss"
        assert (await ask(gw)).headers["x-gateway-cache"] == "hit"
        assert (await ask(gw)).status_code == 429


@pytest.mark.parametrize(
    ("body", "script"),
    [
        (REQUEST, json(MESSAGE.replace(b"hello", CARD))),
        (STREAM, streaming(*[each.replace("hello", CARD.decode()) for each in EVENTS])),
    ],
    ids=["whole", "streamed"],
)
async def test_a_guard_sees_what_is_given_again(body: Any, script: Script, tmp_path: Path) -> None:
    guard = "guard: {response: [{scanner: pii, action: mask}]}"
    async with keeping(script, policies=guard, store=f"sqlite:///{tmp_path}/gateway.db") as gw:
        first, second = await ask(gw, body), await ask(gw, body)
        assert second.headers["x-gateway-cache"] == "hit"
        assert CARD not in first.content + second.content
        assert b"[[pii:" in second.content
        ((_, item),) = await gw.resources.store.list(KIND)
        assert msgspec.convert(item.value, Kept).model == "claude-x"
        records = await gw.records(2)
        assert [[finding.split()[:2] for finding in each.findings] for each in records] == [
            [["guard", "mask"]]
        ] * 2


async def test_a_guard_that_refuses_an_answer_leaves_nothing_to_be_given_again() -> None:
    guard = "guard: {response: [{regex: hello, action: reject}]}"
    async with keeping(json(MESSAGE), policies=guard) as gw:
        for _ in range(2):
            assert (await ask(gw)).status_code == 403
        assert gw.resources.cache({"ttl": 3600.0}).counters == {"miss": 2}


async def test_a_request_that_a_guard_has_changed_is_asked_each_time() -> None:
    guard = "guard: {request: [{scanner: secrets, action: mask}]}"
    async with keeping(json(MESSAGE), policies=guard) as gw:
        secret = {**REQUEST, "messages": [{"role": "user", "content": f"my token is {GITHUB}"}]}
        for _ in range(2):
            assert "x-gateway-cache" not in (await ask(gw, secret)).headers
        assert (await ask(gw)).headers["x-gateway-cache"] == "miss"


def test_mistakes_are_told_with_their_lines_and_a_suggestion() -> None:
    text = """
routes:
  - path: /
    llm:
      providers: {ollama: {}}
      cache:
        ttl: 0s
        scope: principals
        largest: 0
        tll: 1h
  - path: /b
    llm: {providers: {ollama: {}}, cache: {}}
"""
    with pytest.raises(Broken) as caught:
        loads(text, source="gateway.yaml", folder=Path())
    assert str(caught.value).splitlines() == [
        "gateway.yaml:7: routes[0].llm.cache.ttl: must be at least 1s, not '0s'",
        "gateway.yaml:8: routes[0].llm.cache.scope: must be one of principal, group, route; did you mean principal?",
        "gateway.yaml:9: routes[0].llm.cache.largest: must be between 1 and 16777216",
        "gateway.yaml:10: routes[0].llm.cache: tll is not a key here; did you mean ttl?",
        "gateway.yaml:12: routes[1].llm.cache: ttl is missing: for how long an answer is given again",
    ]
    cache = json_schema()["properties"]["routes"]["items"]["properties"]["llm"]["properties"]["cache"]
    assert (cache["required"], set(cache["properties"])) == (["ttl"], {"ttl", "scope", "largest"})
