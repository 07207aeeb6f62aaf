"""Claude Code in its Bedrock and Vertex modes: it takes the gateway for AWS and Google, in front of models of every wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.programs import CLAUDE, run
from tests.whole.running import Whole, demo

pytestmark = pytest.mark.real
MODEL = "us.anthropic.claude-demo-v1"


def bedrock(url: str, key: str) -> dict[str, str]:
    return {"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_BEDROCK_BASE_URL": url, "AWS_BEARER_TOKEN_BEDROCK": key,
            "AWS_REGION": "us-east-1", "ANTHROPIC_MODEL": MODEL, "ANTHROPIC_SMALL_FAST_MODEL": MODEL}  # fmt: skip


def vertex(url: str, key: str) -> dict[str, str]:
    return {"CLAUDE_CODE_USE_VERTEX": "1", "ANTHROPIC_VERTEX_BASE_URL": url + "/v1", "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
            "ANTHROPIC_VERTEX_PROJECT_ID": "p", "CLOUD_ML_REGION": "global", "ANTHROPIC_MODEL": "claude-demo",
            "ANTHROPIC_CUSTOM_HEADERS": f"Authorization: Bearer {key}"}  # fmt: skip


MODES = {"bedrock": bedrock, "vertex": vertex}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    (tmp_path / "files").mkdir()
    async with demo(tmp_path / "files") as running:
        yield running


async def claude(home: Path, prompt: str, env: dict[str, str], *options: str) -> dict[str, Any]:
    quiet = {"HOME": str(home), "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    ended = await run(
        [CLAUDE, "-p", prompt, "--output-format", "json", *options], env={**quiet, **env}, cwd=home
    )
    assert ended.out, ended.err
    said: dict[str, Any] = json.loads(ended.out)
    return said


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("route", ["", "/openai", "/gemini"])
async def test_it_talks_to_models_of_every_wire(
    gateway: Whole, tmp_path: Path, mode: str, route: str
) -> None:
    said = await claude(tmp_path, "hello there", MODES[mode](gateway.url + route, gateway.key))
    assert said["is_error"] is False, said
    assert said["result"].startswith("You said: ")
    assert said["usage"]["input_tokens"] > 5000


@pytest.mark.parametrize("mode", MODES)
async def test_it_uses_its_own_tools(gateway: Whole, tmp_path: Path, mode: str) -> None:
    (tmp_path / "note.txt").write_text("the note's words")
    prompt = f'call Read {{"file_path": "{tmp_path}/note.txt"}}'
    said = await claude(
        tmp_path, prompt, MODES[mode](gateway.url + "/openai", gateway.key), "--allowedTools", "Read"
    )
    assert "the note's words" in said["result"]
    assert said["num_turns"] == 2
