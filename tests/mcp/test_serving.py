"""`gateway serve` with MCP servers behind it: how it starts, how it changes, and how it ends while streams are open."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.mcp.clients import ACCEPT, META, eventually
from tests.mcp.servers import MODERN, Asked, Scripted, served, tool
from tests.mcp.test_stdio import PROGRAM, alive
from tests.whole.process import Process, serving

QUIET = (
    "listen: {port: 0, metrics: 0, admin: 0}\ntelemetry: {log: 'off'}\npolicies: {auth: {mode: permissive}}\n"
)


def configured(folder: Path, servers: dict[str, Any], **more: Any) -> None:
    route = {"path": "/mcp", "mcp": {"servers": servers, **more}}
    (folder / "gateway.yaml").write_text(QUIET + f"routes: {json.dumps([route])}\n")


@asynccontextmanager
async def opened(client: httpx.AsyncClient, url: str, era: str) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream that only its client would end."""
    if era == "modern":
        meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
        params = {"notifications": {"toolsListChanged": True}, "_meta": meta}
        body = {"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params}
        headers = {**ACCEPT, "mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"}
        async with client.stream("POST", url, json=body, headers=headers) as stream:
            yield stream.aiter_lines()
        return
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    session = (await client.post(url, json=body, headers=ACCEPT)).headers["mcp-session-id"]
    headers = {"accept": "text/event-stream", "mcp-session-id": session}
    async with client.stream("GET", url, headers=headers) as stream:
        assert stream.status_code == 200
        yield stream.aiter_lines()


async def listed(process: Process) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        result: dict[str, Any] = (await client.post(process.url + "/mcp", json=body, headers=ACCEPT)).json()[
            "result"
        ]
        return result


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_an_open_stream_is_completed_when_the_gateway_ends_and_delays_no_end(
    era: str, tmp_path: Path
) -> None:
    async with served(Scripted([tool("t")])) as url:
        configured(tmp_path, {"s": {"url": url}})
        async with (
            serving("--config", "gateway.yaml", cwd=tmp_path) as process,
            httpx.AsyncClient(timeout=20) as client,
            opened(client, process.url + "/mcp", era) as lines,
        ):
            if era == "modern":
                assert "acknowledged" in await anext(line async for line in lines if line)
            process.stop()
            rest = [json.loads(line[6:]) async for line in lines if line.startswith("data: {")]
            assert await process.ended(seconds=10) == 0
    if era == "modern":
        completed = {"resultType": "complete", "_meta": {META + "subscriptionId": 7}}
        assert rest[-1] == {"jsonrpc": "2.0", "id": 7, "result": completed}


async def test_a_changed_file_completes_the_old_streams_and_ends_the_old_programs(tmp_path: Path) -> None:
    def program(how: str) -> dict[str, Any]:
        return {"p": {"command": [sys.executable, PROGRAM, how]}}

    configured(tmp_path, program("modern"))
    async with (
        serving("--config", "gateway.yaml", cwd=tmp_path) as process,
        httpx.AsyncClient(timeout=20) as client,
        opened(client, process.url + "/mcp", "modern") as lines,
    ):
        assert "acknowledged" in await anext(line async for line in lines if line)
        old = children(process.process.pid)
        configured(tmp_path, program("legacy"))
        await process.line("new requests use it", errors=True)
        assert '"complete"' in [line async for line in lines if line][-1]
        await eventually(lambda: not any(alive(each) for each in old))
        assert len((await listed(process))["tools"]) == 7


def children(parent: int) -> list[int]:
    found = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    assert found
    return found


async def test_it_has_asked_its_servers_before_it_is_ready_and_waits_for_a_silent_one_no_longer_than_its_deadline(
    tmp_path: Path,
) -> None:
    async def hangs(asked: Asked) -> Any:
        await asyncio.Event().wait()

    known = Scripted([tool("t")], ttl=60_000)
    silent = Scripted(methods={"server/discover": hangs, "initialize": hangs})
    async with served(known) as url, served(silent) as other:
        configured(tmp_path, {"s": {"url": url}, "silent": {"url": other}}, deadline="300ms")
        async with serving("--config", "gateway.yaml", cwd=tmp_path) as process:
            asked = len(known.asked)
            assert asked
            result = await listed(process)
            assert [each["name"] for each in result["tools"]] == ["t"]
            assert len(known.asked) == asked
            assert result["_meta"]["gateway/missing"][0]["server"] == "silent"


async def test_a_program_that_starts_slower_than_a_list_waits_is_there_for_a_later_list(
    tmp_path: Path,
) -> None:
    configured(tmp_path, {"p": {"command": [sys.executable, PROGRAM, "slow"]}}, deadline="100ms")
    async with serving("--config", "gateway.yaml", cwd=tmp_path) as process:
        async with asyncio.timeout(20):
            while not (await listed(process))["tools"]:  # noqa: ASYNC110 - it is another process that starts
                await asyncio.sleep(0.05)
