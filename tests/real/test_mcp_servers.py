"""Other people's servers behind the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.server import Scope, Server
from gateway.mcp.sse_upstream import SseUpstream
from gateway.mcp.stdio import StdioUpstream
from gateway.net.pool import Pool
from tests.mcp.clients import Legacy, Modern
from tests.real.mcp_programs import ENVIRONMENT, MCP, MODULES, NODE, free_port, running
from tests.real.programs import run

pytestmark = pytest.mark.real

PACKAGES = MODULES / "@modelcontextprotocol"


def npm(name: str, *arguments: str) -> list[str]:
    return [str(NODE), str(PACKAGES / name / "dist/index.js"), *arguments]


@asynccontextmanager
async def programs(**commands: Any) -> AsyncIterator[MCPApp]:
    """Each server by name: its argv, or a ready `Server`."""
    made = [
        each if isinstance(each, Server) else Server(StdioUpstream(name, each, env=ENVIRONMENT, timeout=30.0))
        for name, each in commands.items()
    ]
    app = MCPApp(made, list_timeout=30.0)
    try:
        yield app
    finally:
        await app.close()


@pytest.mark.parametrize("era", [Modern, Legacy])
async def test_seven_real_programs_behind_one_endpoint(era: Any, tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    (box / "hello.txt").write_text("hello from the box")
    assert (await run(["git", "init", "-q", str(box)])).code == 0
    python = MCP / "servers/bin"
    async with programs(
        everything=npm("server-everything", "stdio"),
        filesystem=npm("server-filesystem", str(box)),
        memory=npm("server-memory"),
        thinking=npm("server-sequential-thinking"),
        time=[str(python / "mcp-server-time")],
        git=[str(python / "mcp-server-git"), "--repository", str(box)],
        sqlite=[str(MCP / "sqlite/bin/mcp-server-sqlite"), "--db-path", str(tmp_path / "a.db")],
    ) as app:
        client = await era(app).begin() if era is Legacy else era(app)
        listed = (await client.ask("tools/list"))["result"]
        assert "_meta" not in listed, listed.get("_meta")
        names = {each["name"] for each in listed["tools"]}
        assert {
            "echo",
            "read_text_file",
            "create_entities",
            "sequentialthinking",
            "get_current_time",
            "git_status",
            "read_query",
        } <= names
        assert "hello from the box" in str(
            await client.call("read_text_file", {"path": str(box / "hello.txt")})
        )
        assert "Echo: hi" in str(await client.call("echo", {"message": "hi"}))
        assert "UTC" in str(await client.call("get_current_time", {"timezone": "UTC"}))
        assert "1" in str(await client.call("read_query", {"query": "select 1 as one"}))
        assert "hello.txt" in str(await client.call("git_status", {"repo_path": str(box)}))


PATHS = {
    "read_file": ["path"], "read_text_file": ["path"], "read_media_file": ["path"], "read_multiple_files": ["paths"],
    "write_file": ["path"], "edit_file": ["path"], "create_directory": ["path"], "list_directory": ["path"],
    "list_directory_with_sizes": ["path"], "directory_tree": ["path"], "move_file": ["source", "destination"],
    "search_files": ["path"], "get_file_info": ["path"],
}  # fmt: skip
ESCAPES = ["/etc/passwd", "{box}/../secret.txt", "{box}/%2e%2e/secret.txt", "file:///etc/passwd", "..\\..\\etc\\passwd",
           "{box}/secrets/key", "{box}/SECRETS/key", "{box}x/a", "~/a"]  # fmt: skip


async def test_no_tool_of_the_real_filesystem_server_leaves_its_scope(tmp_path: Path) -> None:
    box = tmp_path / "box"
    (box / "secrets").mkdir(parents=True)
    (box / "ok.txt").write_text("fine")
    scope = Scope(path_prefix=f"{box}/", deny_paths=(f"{box}/secrets/",))
    upstream = StdioUpstream("fs", npm("server-filesystem", "/"), env=ENVIRONMENT)
    async with programs(fs=Server(upstream, scope=scope)) as app:
        client = Modern(app)
        tools = {each["name"]: each for each in (await client.ask("tools/list"))["result"]["tools"]}
        assert set(tools) - {"list_allowed_directories"} == set(PATHS)
        assert "fine" in str(await client.call("read_text_file", {"path": str(box / "ok.txt")}))
        for name, keys in PATHS.items():
            for key in keys:
                for escape in ESCAPES:
                    path: Any = escape.format(box=box)
                    given: dict[str, Any] = {other: str(box / "ok.txt") for other in keys}
                    given[key] = [str(box / "ok.txt"), path] if key == "paths" else path
                    result = await client.call(name, given)
                    assert "Refused by scope" in str(result), (name, given)


async def test_an_old_server_of_http_and_sse(tmp_path: Path) -> None:
    port = free_port()
    command = npm("server-everything", "sse")
    async with running(command, port=port, env={"PORT": str(port)}):
        pool = Pool()
        upstream = SseUpstream("old", f"http://127.0.0.1:{port}/sse", client=pool)
        async with programs(old=Server(upstream)) as app:
            assert "echo" in await Modern(app).tools()
            assert "Echo: hi" in str(await Modern(app).call("echo", {"message": "hi"}))
            legacy = await Legacy(app).begin()
            assert "Echo: ho" in str(await legacy.call("echo", {"message": "ho"}))
        await pool.close()


async def test_a_streamable_http_server_of_the_typescript_sdk() -> None:
    port = free_port()
    async with running(npm("server-everything", "streamableHttp"), port=port, env={"PORT": str(port)}):
        pool = Pool()
        upstream = HttpUpstream("ts", f"http://127.0.0.1:{port}/mcp", client=pool)
        async with programs(ts=Server(upstream)) as app:
            assert "Echo: hi" in str(await Modern(app).call("echo", {"message": "hi"}))
            legacy = await Legacy(app).begin()
            assert "Echo: ho" in str(await legacy.call("echo", {"message": "ho"}))
        await pool.close()
