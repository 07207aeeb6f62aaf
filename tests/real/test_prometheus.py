"""Debian's Prometheus scrapes a running gateway; every panel and every alert must find what it asks for."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.telemetry.watched import watched

pytestmark = pytest.mark.real
INFRA = Path(__file__).parents[2] / "infra"


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: run scripts/tools/debian"
    return found


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")],
)  # fmt: skip
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [program("promtool"), *arguments],
        cwd=INFRA / "prometheus",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@asynccontextmanager
async def scraping(target: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    job = {"job_name": "gateway", "static_configs": [{"targets": [target.removeprefix("http://")]}]}
    config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": [job],
              "rule_files": [str(INFRA / "prometheus/alerts.yml")]}  # fmt: skip
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def query(client: httpx.AsyncClient, expression: str) -> list[Any]:
    answer = (await client.get("/api/v1/query", params={"query": expression})).json()
    assert answer["status"] == "success", f"{expression}: {answer}"
    return list(answer["data"]["result"])


async def until_scraped(client: httpx.AsyncClient, expression: str, least: float) -> None:
    """Until this gives at least so much, within half a minute."""
    for _ in range(300):
        try:
            if any(float(found["value"][1]) >= least for found in await query(client, expression)):
                return
        except (httpx.TransportError, json.JSONDecodeError):
            pass  # it is still starting
        await asyncio.sleep(0.1)
    raise AssertionError(f"{expression} never reached {least}")


def panels() -> Iterator[tuple[str, str]]:
    for file in sorted((INFRA / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield f"{file.stem}: {panel['title']}", target["expr"]


def asked(expression: str) -> str:
    for name, value in (("$__rate_interval", "30s"), ("$__range", "1m"), ("$model", ".*"), ("$server", ".*"), ("$tool", ".*")):  # fmt: skip
        expression = expression.replace(name, value)
    return expression


async def test_every_panel_shows_something_of_a_gateway_in_use(tmp_path: Path) -> None:
    async with watched(tmp_path) as gateway, scraping(gateway.metrics, tmp_path) as prometheus:
        for times in (1, 2, 3, 4):
            await gateway.traffic(2)
            await until_scraped(prometheus, 'mcp_tool_calls_total{tool="add"}', 2 * times)
        silent = []
        for title, expression in panels():
            found = await query(prometheus, asked(expression))
            if not found or all(math.isnan(float(one["value"][1])) for one in found):
                silent.append(f"{title}: {asked(expression)}")
        assert silent == []
        (up,) = await query(prometheus, 'up{job="gateway"}')
        assert up["value"][1] == "1"
        rules = (await prometheus.get("/api/v1/rules")).json()["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


async def test_a_slow_call_leads_from_its_bucket_to_its_trace(tmp_path: Path) -> None:
    telemetry = 'telemetry: {log: off, traces: {exporter: otlp, endpoint: "http://127.0.0.1:1"}}'
    async with watched(tmp_path, telemetry) as gateway, scraping(gateway.metrics, tmp_path) as prometheus:
        await gateway.traffic(1)
        await until_scraped(prometheus, "sum(gateway_requests_total)", 8)
        answer = await prometheus.get(
            "/api/v1/query_exemplars",
            params={"query": "gateway_request_duration_seconds_bucket", "start": "0", "end": "4102444800"},
        )
        found = answer.json()["data"]
        assert found
        assert all(len(one["labels"]["trace_id"]) == 32 for series in found for one in series["exemplars"])
