"""Codex CLI itself, as npm has it, against a whole gateway in front of models that speak other wires."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.programs import TOOLS, run
from tests.whole.running import Whole, demo

pytestmark = pytest.mark.real
CODEX = TOOLS / "codex/node_modules/.bin/codex"
CONFIG = """
model = "claude-demo"
model_provider = "gateway"
[model_providers.gateway]
name = "gateway"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "GATEWAY_KEY"
"""
TOOLS_CONFIG = """
[mcp_servers.{name}]
url = "{url}"
bearer_token_env_var = "GATEWAY_KEY"
default_tools_approval_mode = "approve"
"""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    (tmp_path / "files").mkdir()
    async with demo(tmp_path / "files") as running:
        yield running


async def codex(
    home: Path, url: str, key: str, prompt: str, *options: str, more: str = ""
) -> list[dict[str, Any]]:
    """The events that it prints."""
    (home / "config.toml").write_text(CONFIG.format(url=url) + more)
    ended = await run(
        [CODEX, "exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access", *options, prompt],
        env={"HOME": str(home), "CODEX_HOME": str(home), "GATEWAY_KEY": key},
        cwd=home,
    )
    assert ended.out, ended.err
    return [json.loads(line) for line in ended.out.splitlines() if line.startswith("{")]


def items(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [
        each["item"] for each in events if each["type"] == "item.completed" and each["item"]["type"] == kind
    ]


@pytest.mark.parametrize("route", ["", "/openai", "/gemini"])
async def test_it_talks_to_models_of_every_wire(gateway: Whole, tmp_path: Path, route: str) -> None:
    events = await codex(tmp_path, gateway.url + route, gateway.key, "hello there")
    assert "hello there" in items(events, "agent_message")[-1]["text"]
    assert events[-1]["type"] == "turn.completed"
    assert events[-1]["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("route", ["", "/openai", "/gemini"])
async def test_it_uses_its_own_tools(gateway: Whole, tmp_path: Path, route: str) -> None:
    (tmp_path / "note.txt").write_text("the note's words")
    prompt = f'call exec_command {{"cmd": "cat {tmp_path}/note.txt"}}'
    events = await codex(tmp_path, gateway.url + route, gateway.key, prompt)
    (command,) = items(events, "command_execution")
    assert (command["exit_code"], command["aggregated_output"]) == (0, "the note's words")
    assert "the note's words" in items(events, "agent_message")[-1]["text"]


async def test_a_bad_key_ends_the_turn_with_what_the_gateway_says(gateway: Whole, tmp_path: Path) -> None:
    events = await codex(tmp_path, gateway.url, "wrong", "hello there")
    assert events[-1]["type"] == "turn.failed"
    assert "401" in events[-1]["error"]["message"]


async def test_it_calls_mcp_tools_by_the_gateway(gateway: Whole, tmp_path: Path) -> None:
    events = await codex(
        tmp_path, gateway.url, gateway.key, 'call mcp__math__multiply {"a": 42, "b": 17}',
        more=TOOLS_CONFIG.format(name="math", url=gateway.url + "/mcp"),
    )  # fmt: skip
    [called] = items(events, "mcp_tool_call")
    assert (called["server"], called["tool"], called["status"]) == ("math", "multiply", "completed")
    assert "714" in items(events, "agent_message")[-1]["text"]
    [record] = await gateway.records(1, tool="multiply")
    assert (record.server, record.outcome) == ("math", "ok")


async def test_a_refused_mcp_tool_lets_it_go_on(gateway: Whole, tmp_path: Path) -> None:
    events = await codex(
        tmp_path, gateway.url, gateway.key, 'call mcp__files__read_file {"path": "../../etc/passwd"}',
        more=TOOLS_CONFIG.format(name="files", url=gateway.url + "/mcp/filesystem"),
    )  # fmt: skip
    assert "The tool answered" in items(events, "agent_message")[-1]["text"]
    assert events[-1]["type"] == "turn.completed"
