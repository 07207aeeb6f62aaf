"""A whole gateway tells what its limiters and queues count, and writes embedded metrics where it is told to."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.telemetry.receiver import receiving
from tests.telemetry.watched import known, message, tool, watched


async def test_spans_that_a_receiver_never_took_are_counted_where_prometheus_sees_it(tmp_path: Path) -> None:
    gone = 'telemetry: {log: off, traces: {exporter: otlp, endpoint: "http://127.0.0.1:1"}}'
    async with watched(tmp_path, gone) as gateway, httpx.AsyncClient() as client:
        await gateway.traffic(1)
        text = (await client.get(f"{gateway.metrics}/metrics")).text
    assert 'gateway_telemetry_dropped_total{signal="traces"}' in text
    assert 'gateway_telemetry_dropped_total{signal="ledger"} 0' in text


async def test_embedded_metrics_go_to_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with watched(tmp_path, "telemetry: {log: off, metrics: {emf: true}}") as gateway:
        await gateway.traffic(1)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert sum(line.get("mcp_tool_calls", 0) for line in lines) == 4
    assert sum(line.get("gen_ai_client_output_tokens", 0) for line in lines) > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_the_span_of_a_tool_links_to_the_model_call_that_asked_for_it(
    tmp_path: Path, stream: bool
) -> None:
    with receiving() as receiver:
        telemetry = f'telemetry: {{log: off, traces: {{exporter: otlp, endpoint: "{receiver.url}"}}}}'
        async with watched(tmp_path, telemetry) as gateway, httpx.AsyncClient(timeout=10) as client:
            asked = message(stream=stream) | {"tools": [{"name": "add", "input_schema": {"type": "object"}}]}
            asked["messages"][0]["content"] = 'call add {"a": 1, "b": 2}'
            answer = await client.post(f"{gateway.url}/v1/messages", json=asked, headers=known())
            (use,) = re.findall(r"toolu_\w+", answer.text)
            await client.post(
                f"{gateway.url}/mcp", json=tool("add", {"a": 1, "b": 2}, use=use), headers=known()
            )
        chat = next(span for span in receiver.spans if span.name.startswith("anthropic"))
        assert {"auth", "authz", "ratelimit", "guard", "attempt"} <= {span.name for span in receiver.spans}
        (link,) = receiver.span("tools/call add").links
        assert (link.trace_id, link.span_id) == (chat.trace_id, chat.span_id)
