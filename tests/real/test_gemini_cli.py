"""Gemini CLI itself, as npm has it, against a whole gateway in front of models that speak other wires."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.programs import TOOLS, run
from tests.whole.running import Whole, demo

pytestmark = pytest.mark.real
GEMINI = TOOLS / "gemini-cli/node_modules/.bin/gemini"
SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    (tmp_path / "files").mkdir()
    async with demo(tmp_path / "files") as running:
        yield running


async def gemini(
    home: Path, url: str, key: str, prompt: str, *options: str, servers: dict[str, Any] | None = None
) -> dict[str, Any]:
    (home / ".gemini").mkdir(exist_ok=True)
    (home / ".gemini/settings.json").write_text(json.dumps({**SETTINGS, "mcpServers": servers or {}}))
    ended = await run(
        [GEMINI, "-p", prompt, "--output-format", "json", "-m", "gemini-3-flash-preview", *options],
        env={"HOME": str(home), "GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": key, "NO_COLOR": "1",
             "GEMINI_CLI_TRUST_WORKSPACE": "true"},
        cwd=home,
    )  # fmt: skip
    assert ended.out, ended.err
    return json.loads(ended.out[ended.out.index("{") :])


@pytest.mark.parametrize("route", ["", "/openai", "/gemini"])
async def test_it_talks_to_models_of_every_wire(gateway: Whole, tmp_path: Path, route: str) -> None:
    said = await gemini(tmp_path, gateway.url + route, gateway.key, "hello there")
    assert "error" not in said, said
    assert "hello there" in said["response"]


@pytest.mark.parametrize("route", ["", "/openai"])
async def test_it_uses_its_own_tools(gateway: Whole, tmp_path: Path, route: str) -> None:
    (tmp_path / "note.txt").write_text("the note's words")
    prompt = f'call read_file {{"file_path": "{tmp_path}/note.txt"}}'
    said = await gemini(tmp_path, gateway.url + route, gateway.key, prompt, "--approval-mode", "yolo")
    assert "the note's words" in said["response"]
    assert said["stats"]["tools"]["byName"]["read_file"]["success"] == 1


async def test_it_calls_mcp_tools_by_the_gateway(gateway: Whole, tmp_path: Path) -> None:
    server = {"httpUrl": gateway.url + "/mcp", "headers": gateway.bearer, "trust": True}
    said = await gemini(
        tmp_path, gateway.url, gateway.key, 'call mcp_math_multiply {"a": 42, "b": 17}',
        "--approval-mode", "yolo", servers={"math": server},
    )  # fmt: skip
    assert "714" in said["response"], said["response"]
    assert said["stats"]["tools"]["byName"]["mcp_math_multiply"]["success"] == 1
    [record] = await gateway.records(1, tool="multiply")
    assert (record.server, record.outcome) == ("math", "ok")
