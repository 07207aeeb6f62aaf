"""`gateway pins` and `gateway mcp status`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.demo import math
from gateway.stores import open_store
from tests.mcp.clients import Modern, federation
from tests.mcp.servers import Scripted, served, tool


def test_pins_are_listed_compared_and_approved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"

    async def use(description: str) -> list[str]:
        store = open_store(url)
        server = Scripted([tool("a", description=description), tool("b")])
        async with federation({"s": server}, pins="trust-first", store=store) as app:
            listed = await Modern(app).tools()
        await store.close()
        return listed

    def said(*words: str) -> tuple[int, str]:
        code = main([*words, "--store", url])
        return code, capsys.readouterr().out

    assert asyncio.run(use("first")) == ["a", "b"]
    assert said("pins", "diff") == (0, "nothing is held back\n")
    assert asyncio.run(use("second\u200b")) == ["b"]
    code, shown = said("pins", "diff", "s/a")
    assert code == 1
    assert '-  "description": "first"' in shown
    assert "second\\u200b" in shown
    assert "changed   s/a" in said("pins", "list")[1]
    assert said("pins", "approve")[0] == 2
    assert said("pins", "approve", "s/a") == (0, "approved  s/a\n")
    assert asyncio.run(use("second\u200b")) == ["a", "b"]
    assert json.loads(said("pins", "list", "--json")[1])[0] == {
        "server": "s",
        "tool": "a",
        "state": "approved",
    }


async def test_status_asks_every_server_and_names_the_one_that_is_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(math.app()) as url:
        config = tmp_path / "gateway.yaml"
        servers: dict[str, Any] = {
            "math": {"url": url, "scope": {"path_prefix": "/x/"}},
            "dead": {"url": "http://127.0.0.1:9/mcp"},
        }
        config.write_text(json.dumps({"routes": [{"path": "/mcp", "mcp": {"servers": servers}}]}))
        code = await asyncio.to_thread(main, ["mcp", "status", "--config", str(config), "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert code == 1
    assert (rows[0]["era"], rows[0]["tools"], rows[0]["unscoped"]) == ("modern", 2, ["add", "multiply"])
    assert rows[1]["error"]


async def test_a_warm_gateway_has_asked_before_the_first_client_comes() -> None:
    server = Scripted([tool("t")], ttl=60_000)
    async with federation({"s": server}) as app:
        await app.warm()
        before = len(server.asked)
        assert await Modern(app).tools() == ["t"]
        await Modern(app).call("t")
    assert len(server.asked) == before + 1


async def test_check_live_says_which_tools_a_rule_for_paths_does_not_reach(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(math.app()) as url:
        config = tmp_path / "gateway.yaml"
        servers = {
            "math": {"url": url, "scope": {"path_prefix": "/x/"}},
            "dead": {"url": "http://127.0.0.1:9/mcp"},
        }
        config.write_text(json.dumps({"routes": [{"path": "/mcp", "mcp": {"servers": servers}}]}))
        code = await asyncio.to_thread(main, ["check", str(config), "--live"])
    shown = capsys.readouterr().out
    assert code == 1
    assert "ok    server math: speaks 2026-07-28, 2 tools\n        no path found in: add, multiply" in shown
    assert "FAIL  server dead: " in shown
