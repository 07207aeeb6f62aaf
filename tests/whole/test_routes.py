"""Which provider a call goes to, from the file: by name, pattern, alias, header, who calls, any expression, by lot."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

from tests.whole.running import KEY, Whole
from tests.whole.test_providers import Providers, gateway

FILE = """
store: "memory:"
telemetry: {log: 'off'}
routes:
- path: /
  llm:
    providers:
      a: {type: anthropic, base_url: "${UP}", api_key: sk-a}
      b: {type: anthropic, base_url: "${UP}", api_key: sk-b}
      c: {type: anthropic, base_url: "${UP}", api_key: sk-c, timeout: {first_byte: 5s, idle: 5s, total: 10s}, retries: 0}
    models:
    - {match: "*", when: 'request.headers["x-org"] == "eng"', to: b, model: '"eng-" + llm.model'}
    - {match: "group-*", when: '"eng" in principal.groups', to: c}
    - {match: "group-*", to: a}
    - {match: "claude-*", to: a}
    - {match: fast, to: b/claude-haiku-4-5}
    - {match: big, when: 'llm.maxTokens > 1000', to: c/claude-opus-5}
    - {match: big, to: a/claude-sonnet-5}
    - {match: lot, to: [{provider: a/one, weight: 1}, {provider: b/two, weight: 0}]}
"""
ROUTES: dict[str, tuple[str, dict[str, str], int, tuple[str, str]]] = {
    "a pattern": ("claude-opus-4-8", {}, 10, ("sk-a", "claude-opus-4-8")),
    "a header, and a name by expression": ("claude-opus-4-8", {"x-org": "eng"}, 10, ("sk-b", "eng-claude-opus-4-8")),
    "another value": ("claude-opus-4-8", {"x-org": "ops"}, 10, ("sk-a", "claude-opus-4-8")),
    "who calls": ("group-model", {}, 10, ("sk-c", "group-model")),
    "an alias": ("fast", {}, 10, ("sk-b", "claude-haiku-4-5")),
    "what is asked": ("big", {}, 2000, ("sk-c", "claude-opus-5")),
    "else": ("big", {}, 10, ("sk-a", "claude-sonnet-5")),
    "by lot": ("lot", {}, 10, ("sk-a", "one")),
}  # fmt: skip


@pytest.mark.parametrize("case", ROUTES)
async def test_a_call_goes_where_the_file_says(case: str) -> None:
    model, headers, most, expected = ROUTES[case]
    async with gateway(FILE) as (running, providers):
        asked = {
            "model": model,
            "max_tokens": most,
            "stream": True,
            "messages": [{"role": "user", "content": "go"}],
        }
        assert await answered(running, asked, headers) == 200
        _, sent, body = providers.asked[0]
        assert (sent["x-api-key"], body["model"]) == expected


async def answered(running: Whole, body: dict[str, Any], headers: dict[str, str]) -> int:
    async with httpx.AsyncClient(base_url=running.url, headers={**running.bearer, **headers}) as client:
        return (await client.post("/v1/messages", json=body)).status_code


async def test_what_no_rule_serves_is_not_found_and_says_where_to_look() -> None:
    async with gateway(FILE) as (running, providers):
        async with anthropic.AsyncAnthropic(base_url=running.url, api_key=KEY, max_retries=0) as client:
            with pytest.raises(anthropic.NotFoundError, match="/v1/models"):
                await client.messages.create(
                    model="nobody", max_tokens=1, messages=[{"role": "user", "content": "x"}]
                )
        assert isinstance(providers, Providers)
        assert providers.asked == []


async def test_each_client_lists_the_models_in_its_own_shape() -> None:
    async with gateway(FILE) as (running, _):
        async with anthropic.AsyncAnthropic(base_url=running.url, api_key=KEY) as first:
            assert {"fast", "big", "lot"} <= {model.id async for model in first.models.list(limit=1000)}
        async with openai.AsyncOpenAI(base_url=running.url + "/v1", api_key=KEY) as second:
            assert {"fast", "big", "lot"} <= {model.id async for model in second.models.list()}
        third = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=running.url)).aio
        listed = await third.models.list(config={"query_base": True})
        assert {"models/fast", "models/big", "models/lot"} <= {model.name async for model in listed}
        await third.aclose()
