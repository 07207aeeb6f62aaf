"""Nothing secret and no text of a prompt leaves by any way of seeing, unless it was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from gateway.telemetry import chain, sinks
from tests.telemetry.receiver import receiving
from tests.telemetry.watched import KEY, PROMPT, SECRET, served, watched

READS = ("overview", "latency", "calls", "sessions", "findings", "limits", "switches", "configuration", "tools", "costs")  # fmt: skip
CANARIES = (KEY, SECRET, PROMPT, "ignore all previous", "hunter2-canary")


async def newest(client: httpx.AsyncClient, page: str, count: int) -> list[str]:
    """The ids of so many calls, from the live tail."""
    found: list[str] = []
    async with client.stream("GET", f"{page}/api/tail?after=0") as tail:
        async for line in tail.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:])["id"])
            if len(found) == count:
                break
    return found


async def test_logs_spans_metrics_audit_page_and_errors_hold_no_secret_and_no_prompt(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiving() as receiver:
        telemetry = f'telemetry: {{log: json, audit: {{file: audit.jsonl}}, traces: {{endpoint: "{receiver.url}", exporter: otlp, arguments: true}}}}'
        async with watched(tmp_path, telemetry) as gateway, httpx.AsyncClient(timeout=10) as client:
            await gateway.traffic(1)
            await gateway.tell_secret(client)
            texts = {"metrics": (await client.get(f"{gateway.metrics}/metrics")).text}
            async with served(gateway.admin) as page:
                for name in READS:
                    texts[name] = (await client.get(f"{page}/api/{name}")).text
                for call in await newest(client, page, 10):
                    texts[f"call {call}"] = (await client.get(f"{page}/api/call/{call}")).text
        texts["log"], texts["errors"] = capfd.readouterr()
        texts["spans"] = str(receiver.traces)
        texts["audit"] = (tmp_path / "audit.jsonl").read_text()
    assert '"tool":"read_file"' in texts["audit"]
    assert "mcp.arguments" in texts["spans"]
    assert "prompt_injection" in texts["findings"]
    assert '"path":"/v1/messages"' in texts["log"]
    assert chain.verify(sinks.lines(tmp_path / "audit.jsonl")).problems == []
    assert sum(name.startswith("call ") and '"phases":[{' in text for name, text in texts.items()) >= 2
    leaks = [(name, canary) for name, text in texts.items() for canary in CANARIES if canary in text.lower()]
    assert leaks == []
