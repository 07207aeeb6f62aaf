"""A key that stands in the file takes what one from the store takes: models, limits and budgets of its own."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from gateway.config.build_policies import keys_of
from gateway.config.load import loads
from gateway.errors import ConfigError
from gateway.limits.standing import standings
from tests.llm.gateways import MESSAGE
from tests.net.upstream import Peer, upstream
from tests.whole.running import Whole, whole

FILE = """
store: "memory:"
telemetry: {{log: 'off'}}
policies:
  auth:
    keys:
      - {{key: sk-ada, id: ada, owner: ada@example.com, models: [claude-*], limits: [{{requests: 2, per: 60s}}]}}
      - {{key: sk-bob, id: bob, owner: bob@example.com, budgets: [{{usd: 0.02, per: day}}]}}
      - {{key: sk-eve, owner: eve@example.com}}
  usage: {{prices: {{'*': {{input: 100, output: 1000}}}}}}
routes: [{{path: /, llm: {{providers: {{p: {{dialect: anthropic, base_url: '{url}', api_key: sk-up}}}}}}}}]
"""


async def answering(peer: Peer) -> None:
    while True:
        await peer.request()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        await peer.write(head % len(MESSAGE) + MESSAGE)


async def ask(gw: Whole, key: str, model: str = "claude-x") -> httpx.Response:
    body = {"model": model, "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(gw.url + "/v1/messages", json=body, headers={"x-api-key": key})


async def test_each_listed_key_is_held_to_its_own() -> None:
    async with upstream(answering) as up, whole(FILE.format(url=up.url)) as gw:
        assert [(await ask(gw, "sk-ada")).status_code for _ in range(3)] == [200, 200, 429]
        assert (await ask(gw, "sk-ada", "gpt-5")).status_code == 403
        spent = [await ask(gw, "sk-bob") for _ in range(4)]
        assert spent[0].status_code == 200
        assert spent[-1].json()["error"]["type"] == "billing_error"
        assert [(await ask(gw, "sk-eve")).status_code for _ in range(4)] == [200] * 4
        listed = keys_of(loads(FILE.format(url=up.url), source="x", folder=Path()).data)
        rows = await standings(gw.resources.store, [], now=1e9, keys=listed)
        assert {row["who"] for row in rows} == {"key:ada", "key:bob"}


@pytest.mark.parametrize(
    "wrong", ["{requests: 2, tokens: 5, per: 60s}", "{requests: 0, per: 60s}", "{requests: 2, key: x}"]
)
async def test_a_limit_that_is_none_is_found_when_the_file_is_read(wrong: str) -> None:
    text = FILE.format(url="http://127.0.0.1:9").replace("{requests: 2, per: 60s}", wrong)
    with pytest.raises(ConfigError):
        async with whole(text):
            pass
