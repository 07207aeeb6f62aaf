"""The code of the documents is read, or run, by what it is for."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import load
from gateway.config.build import build
from gateway.config.resources import Resources
from gateway.config.shape import FILE
from tests.docs.pages import ROOT, Block, blocks, every
from tests.driver import Driver
from tests.whole.running import demo

FOREIGN = ROOT / "tests/config/foreign"
MOVED = ROOT / "docs/from-agentgateway.md"


class AnyName(defaultdict[str, str]):
    """An environment in which every variable is set, to what fits most places."""

    def get(self, name: str, default: str | None = None) -> str:  # type: ignore[override]
        return default or "0123456789abcdef0123456789abcdef"


def ours() -> list[Block]:
    return [block for block in every("yaml") if block.page != MOVED]


def whole(text: str) -> str:
    """A part of a file, as a file: where it is the inside of a route, one around it."""
    keys = set(yaml.safe_load(text))
    if keys <= {"llm", "mcp"}:
        return "routes:\n- path: /\n" + textwrap.indent(text, "  ")
    return text if "routes" in keys else text + "\nroutes: [{path: /, llm: {providers: {ollama: {}}}}]\n"


@pytest.mark.parametrize("block", ours(), ids=str)
async def test_yaml_is_a_file_of_ours_or_a_part_of_one(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jwt-public.pem").write_text("")
    shutil.copy(ROOT / "examples/openapi/shop.openapi.yaml", tmp_path)
    resources = Resources(dry=True)
    build(load.loads(whole(block.text), source=str(block), folder=tmp_path, env=AnyName()), resources)
    await resources.close()


def test_what_is_shown_of_another_gateways_file_is_what_check_prints() -> None:
    shown = dict(
        re.findall(r"^`([\w-]+)`, theirs:\n\n```yaml\n.*?^```\n\nours:\n\n```yaml\n(.*?)^```$", MOVED.read_text(), re.M | re.S)
    )  # fmt: skip
    theirs = dict(re.findall(r"^`([\w-]+)`, theirs:\n\n```yaml\n(.*?)^```$", MOVED.read_text(), re.M | re.S))
    assert len(shown) == len(theirs) == len(blocks(MOVED, "yaml")) / 2
    for name in shown:
        assert shown[name] == (FOREIGN / f"{name}.ours.yaml").read_text()
        assert theirs[name].rstrip() == (FOREIGN / f"{name}.theirs.yaml").read_text().rstrip()


@pytest.mark.parametrize("block", every("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", every("toml"), ids=str)
def test_toml_is_toml(block: Block) -> None:
    tomllib.loads(block.text)


@pytest.mark.parametrize("block", every("bash"), ids=str)
def test_shell_is_shell(block: Block) -> None:
    ran = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("block", every("python"), ids=str)
def test_python_is_python(block: Block) -> None:
    compile(textwrap.dedent(block.text), str(block), "exec")


def test_the_readmes_python_is_the_examples() -> None:
    (block,) = blocks(ROOT / "README.md", "python")
    assert block.text in (ROOT / "examples/embedded/app.py").read_text()


def ran(text: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", text], cwd=folder, env={**path, **env}, capture_output=True, text=True, timeout=60
    )  # fmt: skip


@pytest.mark.parametrize("block", blocks(ROOT / "docs/embedding.md", "python"), ids=str)
def test_the_embedding_examples_run(block: Block, tmp_path: Path) -> None:
    done = ran(block.text, tmp_path)
    assert done.returncode == 0, done.stderr


async def test_the_example_of_the_handlers_refuses_bad_requests_in_the_callers_dialect() -> None:
    (block,) = (each for each in blocks(ROOT / "docs/embedding.md", "python") if "LLMApp(" in each.text)
    made: dict[str, Any] = {}
    exec(block.text, made)
    drive, key = Driver(made["app"]), {"authorization": "Bearer my-first-key"}
    for path, status, kind in (
        ("/v1/messages", 400, "invalid_request_error"),
        ("/v1/chat/completions", 400, "invalid_request_error"),
        ("/v1/messages?key=x", 401, "authentication_error"),
    ):
        refused = await drive.post(path, b"no json", headers=key if status == 400 else {})
        assert (refused.status, refused.json["error"]["type"]) == (status, kind)
    told = await drive.post("/mcp", b"no json", headers={**key, "host": "localhost"})
    assert (told.status, told.json["error"]["code"]) == (400, -32700)
    assert (await drive.get("/v1/nothing", headers=key)).status == 404
    await made["client"].close()
    await made["tools"].close()


@pytest.mark.parametrize("block", blocks(ROOT / "docs/clients.md", "python"), ids=str)
async def test_the_sdks_examples_run(block: Block, tmp_path: Path) -> None:
    async with demo(tmp_path) as gateway:
        text = block.text.replace("http://127.0.0.1:3000", gateway.url)
        done = await asyncio.to_thread(ran, text, tmp_path, GATEWAY_KEY=gateway.key)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("You said: hello", "714")


def test_the_schema_for_editors_knows_every_key_of_the_file() -> None:
    shown: dict[str, Any] = FILE.json()
    assert set(shown["properties"]) == set(FILE.keys)
