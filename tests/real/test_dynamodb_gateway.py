"""A whole gateway on a real DynamoDB engine that stops while clients ask, and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.demo.app import demo_app
from gateway.stores.dynamodb import table
from tests.real.engine import Engine
from tests.whole.running import Whole, served, whole

pytestmark = pytest.mark.real
TABLE = "governed"
OPEN, MONEY = "gw-key-of-requests-0123456789", "gw-key-of-dollars-0123456789"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with Engine(tmp_path / "data.db") as started:
        dynamodb = table.connect("eu-west-1", started.url, credentials=("test", "test"))
        table.create(dynamodb, TABLE)
        dynamodb.close()
        yield started


def configuration(store: str, behind: str) -> str:
    return (
        f"store: {store}\ntelemetry: {{log: 'off'}}\n"
        "policies:\n"
        f"  auth: {{keys: [{{key: {OPEN}, id: open, owner: ann}}, {{key: {MONEY}, id: money, owner: bob}}]}}\n"
        "  ratelimit:\n"
        "    limits: [{requests: 10000, per: 60s, key: principal.id, name: calls}]\n"
        "    budgets: [{usd: 100, per: day, key: principal.id, when: 'principal.id == \"key:money\"', name: daily}]\n"
        "  usage: {prices: {'*': {input: 1, output: 1}}}\n"
        f"routes: [{{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: '{behind}'}}}}}}}}]\n"
    )


async def asked(client: httpx.AsyncClient, gateway: Whole, key: str) -> httpx.Response:
    body = {"model": "claude-x", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    return await client.post(gateway.url + "/v1/messages", json=body, headers={"x-api-key": key})


async def test_requests_go_on_and_money_waits_while_the_store_is_gone(engine: Engine, tmp_path: Path) -> None:
    store = f"dynamodb://{TABLE}?region=eu-west-1&endpoint={engine.url}&leases=0"
    async with (
        served(demo_app(tmp_path)) as behind,
        whole(configuration(store, behind), folder=tmp_path) as gateway,
        httpx.AsyncClient(trust_env=False, timeout=10) as client,
    ):

        async def load() -> tuple[set[int], set[int]]:
            answers = await asyncio.gather(*(asked(client, gateway, key) for key in (OPEN, MONEY) * 10))
            return {a.status_code for a in answers[::2]}, {a.status_code for a in answers[1::2]}

        assert await load() == ({200}, {200})
        loading = asyncio.create_task(load())
        await asyncio.sleep(0)
        engine.stop()
        assert (await loading)[0] == {200}
        assert await load() == ({200}, {429})
        refused = await asked(client, gateway, MONEY)
        assert refused.json()["error"]["type"] == "billing_error"
        assert refused.headers["anthropic-ratelimit-unified-overage-disabled-reason"] == "fetch_error"
        started = time.perf_counter()
        assert (await asked(client, gateway, OPEN)).status_code == 200
        assert time.perf_counter() - started < 2
        engine.start()
        async with asyncio.timeout(20):
            while (await asked(client, gateway, MONEY)).status_code != 200:  # noqa: ASYNC110 (until it is tried again)
                await asyncio.sleep(0.1)
        await gateway.records(31, outcome="ok")
