"""Arize Phoenix receives the traces of a gateway in use, and shows them as its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.telemetry.watched import KEY, PROMPT, SECRET, watched

pytestmark = pytest.mark.real
PHOENIX = Path(__file__).parents[2] / ".tools/phoenix/bin/phoenix"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@asynccontextmanager
async def phoenix(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    assert PHOENIX.exists(), "Phoenix is missing: run scripts/tools/phoenix"
    port = free_port()
    environ = {
        **os.environ, "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": str(port), "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(folder), "PHOENIX_TELEMETRY_ENABLED": "false", "HOME": str(folder),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        str(PHOENIX),
        "serve",
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            await answered(client)
            yield client
    finally:
        process.terminate()
        await process.wait()


async def answered(client: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            if (await client.get("/healthz")).status_code == 200:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("Phoenix did not start within a minute")


async def received(client: httpx.AsyncClient, least: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for _ in range(300):
        answer = await client.get("/v1/projects/default/spans", params={"limit": 500})
        found = answer.json().get("data", []) if answer.status_code == 200 else []
        if len(found) >= least:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"Phoenix has {len(found)} spans, not {least}")


async def test_phoenix_shows_model_and_tool_calls_with_their_attempts_and_no_content(tmp_path: Path) -> None:
    (tmp_path / "phoenix").mkdir()
    async with phoenix(tmp_path / "phoenix") as client:
        telemetry = f'telemetry: {{log: off, traces: {{exporter: otlp, endpoint: "{client.base_url}"}}}}'
        async with watched(tmp_path, telemetry) as gateway:
            await gateway.traffic(1)
        spans = await received(client, 8 * 2)
        by_name = {span["name"]: span for span in spans}
        chat, tool = by_name["chat claude-haiku-4-5"], by_name["tools/call read_file"]
        assert chat["attributes"]["gen_ai.request.model"] == "claude-haiku-4-5"
        assert chat["attributes"]["session.id"] == tool["attributes"]["session.id"] == "session-1"
        assert tool["attributes"]["gen_ai.tool.call.id"] == "toolu_1"
        attempts = [span for span in spans if span["name"] == "attempt"]
        assert {span["parent_id"] for span in attempts} <= {s["context"]["span_id"] for s in spans if s["name"].startswith(("chat", "tools/call"))}  # fmt: skip
        refused = [s for s in spans if s["attributes"].get("gateway.verdict") == "blocked"]
        assert {"tools/call delete_file", "messages forbidden", "chat forbidden"} & {
            s["name"] for s in refused
        }
        text = str(spans)
        for canary in (SECRET, KEY, PROMPT):
            assert canary not in text
