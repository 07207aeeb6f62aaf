"""The entries of docs/clients.md, word for word, in the programs that they are for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks
from tests.real.programs import CLAUDE, TOOLS, Ended, run
from tests.whole.running import Whole, demo

pytestmark = pytest.mark.real
PAGE = ROOT / "docs/clients.md"
CODEX = TOOLS / "codex/node_modules/.bin/codex"
GEMINI = TOOLS / "gemini-cli/node_modules/.bin/gemini"
BIN = TOOLS / "mcp/node_modules/.bin"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    (tmp_path / "hello.txt").write_text("a file for the agent")
    async with demo(tmp_path) as running:
        yield running


def entry(language: str, having: str, gateway: Whole) -> str:
    """The page's block that has these words in it, for the address of this gateway."""
    (found,) = [block.text for block in blocks(PAGE, language) if having in block.text]
    return found.replace("http://127.0.0.1:3000", gateway.url)


async def shell(line: str, home: Path, **env: str) -> Ended:
    return await run(["bash", "-c", line], env={"HOME": str(home), "NO_COLOR": "1", **env}, cwd=home)


async def test_claude_code_adds_and_reaches_the_tools(gateway: Whole, tmp_path: Path) -> None:
    line = entry("bash", "claude mcp add", gateway).replace("claude", str(CLAUDE), 1)
    added = await shell(line, tmp_path, GATEWAY_KEY=gateway.key)
    assert added.code == 0, added.err
    listed = await shell(f"{CLAUDE} mcp list", tmp_path)
    assert "math" in listed.out
    assert "Connected" in listed.out


async def claude(home: Path, gateway: Whole, settings: dict[str, Any]) -> dict[str, Any]:
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").write_text(json.dumps(settings))
    env = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    ended = await shell(f"{CLAUDE} -p 'hello there' --output-format json", home, **env)
    assert ended.out, ended.err
    return json.loads(ended.out)


async def test_claude_code_asks_its_helper_for_a_fresh_token_when_one_is_refused(
    gateway: Whole, tmp_path: Path
) -> None:
    settings = json.loads(entry("json", "apiKeyHelper", gateway))
    settings["env"]["ANTHROPIC_BASE_URL"] = gateway.url
    # The first token is one that has ended.
    asked = tmp_path / "asked"
    settings["apiKeyHelper"] = f"test -e {asked} && echo {gateway.key} || {{ touch {asked}; echo ended; }}"
    said = await claude(tmp_path, gateway, settings)
    assert said["result"] == "You said: hello there"


async def test_claude_desktops_entry_starts_a_bridge_that_lists_the_tools(
    gateway: Whole, tmp_path: Path
) -> None:
    """As the app does: the entry's command with its environment, spoken to over standard input."""
    server = json.loads(entry("json", "mcp-remote", gateway))["mcpServers"]["math"]
    assert server["args"][:2] == ["-y", "mcp-remote"]
    env = {
        "HOME": str(tmp_path),
        "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
        "TOKEN": f"Bearer {gateway.key}",
    }
    process = await asyncio.create_subprocess_exec(
        str(BIN / "mcp-remote"), *server["args"][2:], env=env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        who = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "desktop", "version": "1"},
        }
        for message in (
            {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": who},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        ):
            process.stdin.write(json.dumps(message).encode() + b"\n")
            answer = await asyncio.wait_for(process.stdout.readline(), 60) if "id" in message else b""
        assert [tool["name"] for tool in json.loads(answer)["result"]["tools"]] == ["add", "multiply"]
    finally:
        process.terminate()
        await process.wait()


async def test_codex_reaches_models_and_tools(gateway: Whole, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(entry("toml", "mcp_servers", gateway))
    env = {"CODEX_HOME": str(tmp_path), "GATEWAY_KEY": gateway.key}
    prompt = 'call mcp__math__multiply {"a": 42, "b": 17}'
    ended = await shell(f"{CODEX} exec --json --skip-git-repo-check '{prompt}'", tmp_path, **env)
    called = [json.loads(line) for line in ended.out.splitlines() if '"mcp_tool_call"' in line]
    assert called, ended.err
    assert called[-1]["item"]["result"]["content"][0]["text"] == "714"


async def test_gemini_cli_reaches_models_and_tools(gateway: Whole, tmp_path: Path) -> None:
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini/settings.json").write_text(entry("json", "httpUrl", gateway))
    setting = entry("bash", "GOOGLE_GEMINI_BASE_URL", gateway)
    prompt = 'call mcp_files_read_file {"path": "hello.txt"}'
    env = {"GATEWAY_KEY": gateway.key, "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    line = f"{setting}\n{GEMINI} -p '{prompt}' --approval-mode yolo -m gemini-3-flash-preview"
    ended = await shell(line, tmp_path, **env)
    assert "a file for the agent" in ended.out, ended.err


async def test_the_inspector_lists_the_tools(gateway: Whole, tmp_path: Path) -> None:
    line = entry("bash", "inspector", gateway).replace(
        "npx @modelcontextprotocol/inspector", str(BIN / "mcp-inspector")
    )
    line = f"PATH={BIN}:$PATH\n{line}"  # Node 22.19 is there
    ended = await shell(line, tmp_path, GATEWAY_KEY=gateway.key)
    assert [tool["name"] for tool in json.loads(ended.out)["tools"]] == ["add", "multiply"]
