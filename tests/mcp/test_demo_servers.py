"""The demo's own servers, by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.demo import filesystem, math
from tests.driver import Driver
from tests.mcp.clients import Legacy, Modern, answer


async def legacy(app: Any, method: str, params: Any = None) -> Any:
    return await Legacy(app).ask(method, params)


@pytest.mark.parametrize(("name", "result"), [("add", "5"), ("multiply", "6")])
async def test_math_computes_in_both_eras(name: str, result: str) -> None:
    call = {"name": name, "arguments": {"a": 2, "b": 3}}
    assert (await Modern(math.app()).call(name, call["arguments"]))["content"][0]["text"] == result
    assert (await legacy(math.app(), "tools/call", call))["result"]["content"][0]["text"] == result


async def test_a_demo_server_says_what_it_is_in_both_eras() -> None:
    app = math.app()
    found = (await Modern(app).ask("server/discover"))["result"]
    assert found["supportedVersions"] == ["2026-07-28"]
    began = (await legacy(app, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}}))["result"]
    assert began["protocolVersion"] == "2025-06-18"
    assert (await legacy(app, "ping"))["result"] == {}
    assert (await legacy(app, "nothing"))["error"]["code"] == -32601
    assert (await Modern(app).send("nothing")).status == 404
    tools = {each["name"]: each for each in (await legacy(app, "tools/list"))["result"]["tools"]}
    assert tools["add"]["inputSchema"]["properties"] == {"a": {"type": "integer"}, "b": {"type": "integer"}}
    assert (await Driver(app).get("/mcp")).status == 405


async def test_what_a_tool_does_not_take_is_refused_and_what_fails_is_said() -> None:
    app = math.app()
    assert (
        answer(await Modern(app).send("tools/call", {"name": "add", "arguments": {"c": 1}}))["error"]["code"]
        == -32602
    )
    assert (await Modern(app).call("add", {"a": 1}))["isError"] is True
    assert (await Modern(app).ask("tools/call", {"name": "none"}))["error"]["message"] == "Unknown tool: none"


async def test_the_filesystem_reads_writes_lists_finds_and_deletes(tmp_path: Path) -> None:
    client = Modern(filesystem.app(tmp_path / "lab"))

    async def said(name: str, **arguments: str) -> str:
        text: str = (await client.call(name, arguments))["content"][0]["text"]
        return text

    assert "test file" in await said("read_file", path="hello.txt")
    assert await said("write_file", path="notes/a.txt", content="new") == "wrote notes/a.txt"
    assert await said("list_directory") == "hello.txt\nnotes/"
    assert await said("search", pattern="A.TXT") == "notes/a.txt"
    assert await said("delete_file", path="/notes/a.txt") == "deleted notes/a.txt".replace("notes", "/notes")
    assert "no file" in await said("read_file", path="notes/a.txt")


@pytest.mark.parametrize("path", ["../secret", "/../secret", "notes/../../secret", "link/secret", "a\0b"])
async def test_nothing_outside_of_the_sandbox_can_be_reached(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("canary")
    root = tmp_path / "lab"
    client = Modern(filesystem.app(root))
    (root / "link").symlink_to(tmp_path)
    for name, more in (
        ("read_file", {}),
        ("write_file", {"content": "x"}),
        ("delete_file", {}),
        ("list_directory", {}),
    ):
        result = await client.call(name, {"path": path, **more})
        assert result["isError"] is True
        assert "canary" not in str(result)
    assert (tmp_path / "secret").read_text() == "canary"
