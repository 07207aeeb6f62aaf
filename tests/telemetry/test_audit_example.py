"""The audit of the fourth example, read as its README says: in a shell that has none of the gateway's secrets."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.examples.seeds import example

AGENT = {"x-fi-agent": "claude-code"}
ASKED = {"model": "claude-demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(served(tmp_path_factory.mktemp("seed-4")))


async def served(tmp_path: Path) -> Path:
    """The example's folder after some traffic."""
    given = {"ANTHROPIC_API_KEY": "k", "FILESYSTEM_MCP_TOKEN": "t", "POSTGRES_MCP_CLIENT_ID": "id", "GITHUB_PAT": "p",
             "POSTGRES_MCP_CLIENT_SECRET": "s", "FILESYSTEM_URL": "{demo}/filesystem", "ANTHROPIC_URL": "{demo}",
             "POSTGRES_URL": "http://127.0.0.1:1/mcp", "GITHUB_URL": "http://127.0.0.1:1/mcp", "AUDIT_FILE": "audit.jsonl"}  # fmt: skip
    async with example(4, tmp_path, **given) as it:
        assert (await it.ask("/v1/anthropic/v1/messages", ASKED, **AGENT)).status_code == 200
        for name, path in (("read_file", "/etc/passwd"), ("read_file", "/workspace/a"), ("list_directory", "/workspace/")):  # fmt: skip
            await it.rpc("/v1/mcp", "tools/call", headers=AGENT, name=name, arguments={"path": path})
    return it.folder


async def typed(folder: Path, *words: str) -> tuple[int, str]:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *words, cwd=folder, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode()


async def test_what_was_refused_is_listed_with_the_rule(folder: Path) -> None:
    code, told = await typed(
        folder, *["audit", "--denied", "--tool", "read_file", "--config", "gateway.yaml"]
    )
    assert code == 0
    (line,) = told.splitlines()
    assert "refused" in line
    assert "ada@example.com" in line
    assert "filesystem/read_file" in line
    assert "scope" in line


async def test_the_audit_is_whole_until_a_line_is_changed(folder: Path, tmp_path: Path) -> None:
    code, told = await typed(folder, "audit", "verify", "--config", "gateway.yaml")
    assert (code, "4 lines, no problems" in told) == (0, True)
    text = (folder / "audit.jsonl").read_text()
    (tmp_path / "forged.jsonl").write_text(text.replace('"outcome":"refused"', '"outcome":"ok"'))
    code, told = await typed(tmp_path, "audit", "verify", "--file", "forged.jsonl")
    assert (code, "was changed" in told) == (1, True)


async def test_a_replay_says_which_calls_another_policy_would_have_refused(
    folder: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.yaml"
    text = (folder / "gateway.yaml").read_text()
    new.write_text(text.replace("policies:\n", "policies:\n  authz: {deny: ['mcp.tool.name == \"list_directory\"']}\n", 1))  # fmt: skip
    same = await typed(
        folder, *["audit", "replay", "--file", "audit.jsonl", "--config", "gateway.yaml", "--json"]
    )
    assert (same[0], json.loads(same[1].splitlines()[-1])["would be refused"]) == (0, 0)
    code, told = await typed(folder, "audit", "replay", "--file", "audit.jsonl", "--config", str(new))
    assert code == 1
    assert "allowed → refused" in told
    assert "list_directory" in told
    assert "1 would be refused" in told


async def test_pins_are_shown_without_secrets_too(folder: Path) -> None:
    code, told = await typed(folder, "pins", "diff", "--store", "sqlite:///none.db")
    assert code in (0, 1), told
    assert "is not set" not in (await typed(folder, "status", "--config", "gateway.yaml"))[1]
