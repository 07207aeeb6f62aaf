"""Other people's clients before the gateway: SDKs of both generations, the Inspector, and what Claude Desktop starts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.demo import math
from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.server import Server
from gateway.mcp.stdio import StdioUpstream
from gateway.net.pool import Pool
from tests.examples.test_seeds import seed_1
from tests.mcp.clients import Legacy
from tests.mcp.servers import served
from tests.real.mcp_programs import ENVIRONMENT, MCP, MODULES, NODE, everything, free_port
from tests.real.programs import ROOT, run
from tests.whole.process import serving
from tests.whole.running import until

pytestmark = pytest.mark.real


@asynccontextmanager
async def gateway() -> AsyncIterator[str]:
    """Math and the everything-server, behind the gateway, on a port."""
    async with everything() as first, served(math.app()) as second:
        pool = Pool()
        app = MCPApp(
            [
                Server(HttpUpstream(name, url, client=pool))
                for name, url in (("everything", first), ("math", second))
            ]
        )
        async with served(app) as url:
            yield url
        await pool.close()


PYTHON_NEW = """
import asyncio, sys
from mcp import Client
async def main():
    async with Client(sys.argv[1]) as client:
        print(sorted(tool.name for tool in (await client.list_tools()).tools)[:2])
        print((await client.call_tool("add", {"a": 2, "b": 3})).content[0].text)
asyncio.run(main())
"""
PYTHON_OLD = """
import asyncio, sys
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
async def main():
    async with streamablehttp_client(sys.argv[1]) as (read, write, _):
        async with ClientSession(read, write) as session:
            await session.initialize()
            print(sorted(tool.name for tool in (await session.list_tools()).tools)[:2])
            print((await session.call_tool("add", {"a": 2, "b": 3})).content[0].text)
asyncio.run(main())
"""
FASTMCP = """
import asyncio, sys
from fastmcp import Client
async def main():
    async with Client(sys.argv[1]) as client:
        print(sorted(tool.name for tool in await client.list_tools())[:2])
        print((await client.call_tool("add", {"a": 2, "b": 3})).content[0].text)
asyncio.run(main())
"""
TYPESCRIPT_NEW = """
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
const mode = process.argv[3];
const client = new Client({ name: "test", version: "1" }, mode ? { versionNegotiation: { mode } } : {});
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
console.log(client.getNegotiatedProtocolVersion());
console.log((await client.listTools()).tools.map((tool) => tool.name).sort().slice(0, 2));
console.log((await client.callTool({ name: "add", arguments: { a: 2, b: 3 } })).content[0].text);
await client.close();
"""
TYPESCRIPT_OLD = """
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
const client = new Client({ name: "test", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
console.log((await client.listTools()).tools.map((tool) => tool.name).sort().slice(0, 2));
console.log((await client.callTool({ name: "add", arguments: { a: 2, b: 3 } })).content[0].text);
await client.close();
"""


@asynccontextmanager
async def script(text: str, interpreter: Path) -> AsyncIterator[Path]:
    """Beside the modules that it imports."""
    file = MCP / f"client-{os.getpid()}.{'mjs' if interpreter == NODE else 'py'}"
    file.write_text(text)
    try:
        yield file
    finally:
        file.unlink()


@pytest.mark.parametrize(
    ("interpreter", "text"),
    [
        (Path(sys.executable), PYTHON_NEW),
        (MCP / "older/bin/python", PYTHON_OLD),
        (MCP / "fastmcp/bin/python", FASTMCP),
        (NODE, TYPESCRIPT_OLD),
    ],
    ids=["python-2", "python-1", "fastmcp", "typescript-1"],
)
async def test_the_sdks_list_and_call_through_the_gateway(interpreter: Path, text: str) -> None:
    async with gateway() as url, script(text, interpreter) as file:
        ended = await run([interpreter, file, url])
    assert ended.out.strip().splitlines()[-1] == "5", ended.err
    assert "add" in ended.out


@pytest.mark.parametrize(("mode", "version"), [("", "2025-11-25"), ("auto", "2026-07-28")])
async def test_the_typescript_sdk_2_speaks_whichever_era_it_is_told_to(mode: str, version: str) -> None:
    async with gateway() as url, script(TYPESCRIPT_NEW, NODE) as file:
        ended = await run([NODE, file, url, mode])
    assert ended.out.strip().splitlines()[-1] == "5", ended.err
    assert ended.out.splitlines()[0] == version


@asynccontextmanager
async def lines_to(command: Sequence[str], home: Path, **env: str) -> AsyncIterator[MCPApp]:
    """As Claude Desktop starts what stands in its file: messages on standard input, answers on standard output."""
    env = {**ENVIRONMENT, "HOME": str(home), "MCP_REMOTE_CONFIG_DIR": str(home), **env}
    app = MCPApp([Server(StdioUpstream("bridge", command, env=env, timeout=40.0))], list_timeout=40.0)
    try:
        yield app
    finally:
        await app.close()


@pytest.mark.parametrize("bridge", ["mcp-remote", "supergateway"])
async def test_claude_desktop_reaches_the_first_seeds_tools_by_a_bridge_over_stdio(
    bridge: str, tmp_path: Path
) -> None:
    async with seed_1(tmp_path) as it:
        url, shown = it.running.url + "/mcp", f"Bearer {it.key}"
        words = {
            "mcp-remote": [str(MODULES / ".bin/mcp-remote"), url, "--header", f"Authorization:{shown}"],
            "supergateway": [str(MODULES / ".bin/supergateway"), "--streamableHttp", url, "--header", f"Authorization: {shown}"],
        }  # fmt: skip
        async with lines_to(words[bridge], tmp_path) as app:
            client = await Legacy(app).begin()
            assert await client.tools() == ["add", "multiply"]
            assert (await client.call("multiply", {"a": 42, "b": 17}))["content"][0]["text"] == "714"
        [record] = await it.running.records(1, tool="multiply")
        assert (record.server, record.user) == ("math-service", "ada@example.com")


async def test_the_second_seed_serves_npms_filesystem_server_as_its_readme_says(tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(MODULES)  # where npx finds the package without the network
    (tmp_path / "lab-files").mkdir()
    (tmp_path / "lab-files/hello.txt").write_text("This is a test file for MCP access.")
    (tmp_path / "gateway.yaml").write_text((ROOT / "examples/seed-2/gateway.yaml").read_text())
    env = {"PATH": ENVIRONMENT["PATH"], "HOME": str(tmp_path), "PORT": str(free_port())}
    async with serving("--config", "gateway.yaml", cwd=tmp_path, env=env) as process:
        command = [sys.executable, "-m", "gateway"]

        async def typed(*words: str) -> str:
            ended = await run([*command, *words, "--config", "gateway.yaml"], env=env, cwd=tmp_path)
            assert ended.code == 0, ended.err + ended.out
            return ended.out

        key = json.loads(await typed("keys", "create", "--owner", "you@example.com", "--json"))["key"]
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=30) as client:

            async def asked(method: str, **params: Any) -> Any:
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                return (await client.post(process.url + "/mcp", json=body)).json()["result"]

            async def there() -> bool:
                return bool((await asked("tools/list"))["tools"])

            async def gone() -> bool:
                return not await there()

            await until(there, seconds=30)
            called = await asked("tools/call", name="read_text_file", arguments={"path": "hello.txt"})
            assert called["content"][0]["text"] == "This is a test file for MCP access."
            assert "filesystem: 14 tools" in await typed("mcp", "status")
            await typed("kill", "--server", "filesystem", "--reason", "lab is over")
            await until(gone)
            await typed("restore", "--server", "filesystem")
            await until(there)
        assert "read_text_file" in (tmp_path / "audit.jsonl").read_text()


async def test_the_inspector_lists_and_calls() -> None:
    async with gateway() as url:
        command = [MODULES / ".bin/mcp-inspector", "--cli", url, "--transport", "http"]
        listed = await run([*command, "--method", "tools/list"], env=ENVIRONMENT)
        called = await run(
            [*command, "--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=2", "b=3"],
            env=ENVIRONMENT,
        )
    assert "add" in [each["name"] for each in json.loads(listed.out)["tools"]], listed.err
    assert json.loads(called.out)["content"][0]["text"] == "5", called.err
