"""A refusal of whichever policy is in the ledger, with whom, what and why; on the page, the command line and in the metrics."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli import main
from gateway.demo.app import demo_app
from gateway.policy import switches
from gateway.policy.switches import Switch
from tests.driver import Driver
from tests.whole.running import Whole, served, until, whole

CONFIG = """
store: "{store}"
telemetry: {{log: "off"}}
routes:
  - {{path: /, llm: {{providers: {{demo: {{dialect: anthropic, base_url: "{behind}"}}}}}}}}
  - path: /other
    llm: {{providers: {{demo: {{dialect: anthropic, base_url: "{behind}"}}}}}}
    policies: {{usage: {{labels: {{team: '"other"'}}}}}}
  - {{path: /mcp, mcp: {{servers: {{files: {{url: "{behind}/filesystem"}}}}}}}}
policies:
  auth:
    keys: [{{key: gw-test-key-0123456789, id: ada, owner: ada@example.com, groups: [eng]}}]
  authz: {{deny: ['llm.model == "forbidden"', 'mcp.tool.name == "delete_file"']}}
  ratelimit: {{limits: [{{requests: 1, per: 1h, key: llm.model, when: 'llm.model == "scarce"'}}]}}
  guard: {{request: [{{regex: 'violet elephant', action: reject}}]}}
  usage: {{labels: {{team: 'request.headers["x-team"]'}}}}
"""
WHY = {"forbidden": "authz", "scarce": "ratelimit", "guarded": "guard", "killed": "kill"}


def asked(model: str) -> dict[str, Any]:
    text = "a violet elephant" if model == "guarded" else "hello"
    return {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": text}]}


async def traffic(running: Whole) -> None:
    await switches.throw(running.resources.store, Switch("model", "killed", "too dear", None, 0.0))
    headers = running.bearer | {"x-team": "blue"}

    async with httpx.AsyncClient(base_url=running.url, headers=headers) as client:
        await client.post("/v1/messages", json=asked("scarce"))

        async def refused() -> bool:
            return (await client.post("/v1/messages", json=asked("killed"))).status_code == 403

        await until(refused)  # every process hears of a switch within a second
        for model in ("forbidden", "scarce", "guarded"):
            assert (await client.post("/v1/messages", json=asked(model))).status_code in (400, 403, 429)
        call = {"name": "delete_file", "arguments": {"path": "hello.txt"}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        await client.post("/mcp", json=message)
        await client.post("/other/v1/messages", json=asked("forbidden"))


async def test_every_policys_refusals_are_told_with_user_model_tool_and_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f"sqlite:///{tmp_path}/gateway.db"
    async with (
        served(demo_app(tmp_path)) as behind,
        whole(CONFIG.format(store=store, behind=behind), folder=tmp_path) as running,
    ):
        await traffic(running)
        await running.records(6, outcome="refused")
        records = await running.resources.store.records(where={"outcome": "refused"})
        page = Driver(running.gateway.admin)
        overview = (await page.get("/api/overview?by=user", headers={"host": "localhost"})).json
        metrics = (await Driver(running.gateway.metrics).get("/metrics")).body.decode()
    models = {record.model: record for record in records if record.kind == "llm"}
    assert {name: record.policy for name, record in models.items()} == WHY
    assert {(record.route, record.labels["team"]) for record in records} == {
        ("/", "blue"),
        ("/mcp", "blue"),
        ("/other", "other"),
    }
    assert {record.user for record in records} == {"ada@example.com"}
    assert all(record.rule and record.duration_ms > 0 for record in models.values())
    assert {group["group"][0] for group in overview["refusals"]} == set(WHY.values())
    for policy in WHY.values():
        assert f'gateway_refusals_total{{policy="{policy}"' in metrics
    await asyncio.to_thread(
        main,
        ["usage", "--store", store, "--by", "user,model,tool,policy", "--where", "outcome=refused", "--json"],
    )
    told = {(row["model"] or row["tool"], row["policy"]) for row in json.loads(capsys.readouterr().out)}
    assert told == {*WHY.items(), ("delete_file", "authz")}
