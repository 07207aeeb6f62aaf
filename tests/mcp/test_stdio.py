"""Servers that are programs: started exactly as the file says, watched, bounded, and ended with all their children."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.mcp.app import MCPApp
from gateway.mcp.server import Server
from gateway.mcp.stdio import StdioUpstream
from tests.mcp.clients import Legacy, Modern, events, eventually

PROGRAM = str(Path(__file__).parent / "stubborn.py")


@asynccontextmanager
async def program(how: str, **options: Any) -> AsyncIterator[tuple[MCPApp, StdioUpstream]]:
    upstream = StdioUpstream("p", [sys.executable, PROGRAM, how], **{"timeout": 5.0, **options})
    app = MCPApp([Server(upstream)])
    try:
        yield app, upstream
    finally:
        await app.close()


@pytest.mark.parametrize("how", ["legacy", "modern", "prints", "floods"])
async def test_row_37_a_program_that_floods_stderr_or_prints_other_things_is_still_heard(how: str) -> None:
    async with program(how) as (app, upstream):
        assert (await Modern(app).call("echo", {"a": 1}))["content"][0]["text"] == '{"a": 1}'
        assert (await (await Legacy(app).begin()).call("echo", {"b": 2}))["content"][0]["text"] == '{"b": 2}'
        assert len("".join(upstream.stderr)) < 500_000


async def test_row_37_a_program_that_dies_is_answered_for_and_started_again() -> None:
    now = [0.0]
    async with program("legacy", clock=lambda: now[0]) as (app, _):
        asking = Modern(app)
        result = await asking.call("die")
        assert result["isError"] is True
        now[0] += 100.0
        assert (await asking.call("echo", {"a": 1}))["content"][0]["text"] == '{"a": 1}'


async def test_row_37_what_a_program_wrote_last_is_told_to_the_operator_and_to_no_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    command = [sys.executable, "-c", r"import sys; sys.exit('no database:\x1b[31m set DATABASE_URL')"]
    app = MCPApp([Server(StdioUpstream("p", command))])
    try:
        listed = (await Modern(app).ask("tools/list"))["result"]
    finally:
        await app.close()
    assert (
        "server p: its program has ended; it wrote last: no database:?[31m set DATABASE_URL"
        in caplog.messages
    )
    assert "DATABASE_URL" not in json.dumps(listed)


async def test_row_37_a_program_that_keeps_dying_is_not_started_in_a_loop() -> None:
    now = [0.0]
    async with program("dies", clock=lambda: now[0]) as (app, _):
        for _ in range(3):
            result = (await Modern(app).ask("tools/list"))["result"]
            assert result["tools"] == []
            assert result["_meta"]["gateway/missing"][0]["server"] == "p"


@pytest.mark.parametrize("how", ["never exits", "has children"])
async def test_row_37_a_program_that_never_exits_is_made_to_with_all_that_it_started(
    how: str,
) -> None:
    async with program(how, grace=0.1) as (app, upstream):
        await Modern(app).tools()
        group = upstream.pid
        os.killpg(group, 0)
    await eventually(lambda: not alive(group))


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


async def test_row_34_a_program_that_hangs_costs_its_timeout_and_no_other_call() -> None:
    async with program("legacy", timeout=0.3) as (app, _):
        asking = Modern(app)
        await asking.tools()
        hanging = asyncio.create_task(asking.call("hang"))
        assert (await Modern(app).call("echo", {"a": 1}))["content"][0]["text"] == '{"a": 1}'
        assert "did not answer in time" in (await hanging)["content"][0]["text"]


async def test_row_34_a_program_that_reads_no_more_costs_its_timeout_and_no_memory_without_end() -> None:
    async with program("legacy", timeout=0.5, grace=0.1) as (app, _):
        asking = Modern(app)
        await asking.tools()
        large = {"text": "x" * 8_000_000}
        calls = [asking.call("deaf"), *(asking.call("echo", large) for _ in range(6))]
        async with asyncio.timeout(10):
            said = [answer["content"][0]["text"] for answer in await asyncio.gather(*calls)]
        assert "did not answer in time" in said[0]
        assert "did not answer in time" in said[1]
        assert "it cannot be reached" in said[6]


async def test_a_program_sees_no_secret_of_the_gateways_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    async with program("legacy", env={"GIVEN": "1"}) as (app, _):
        names = json.loads((await Modern(app).call("environ"))["content"][0]["text"])
    assert "GIVEN" in names
    assert "PATH" in names
    assert not [name for name in names if "ANTHROPIC" in name or "KEY" in name]


async def test_progress_and_questions_of_a_program() -> None:
    async with program("legacy") as (app, _):
        reply = await Modern(app).send("tools/call", {"name": "progress", "_meta": {"progressToken": "mine"}})
        assert events(reply)[0]["params"]["progressToken"] == "mine"
        assert (await Modern(app).call("ask"))["content"][0]["text"] == "-32601"


async def test_many_clients_share_one_program_and_each_gets_its_own_answer() -> None:
    async with program("legacy") as (app, _):
        asking = Modern(app)
        await asking.tools()
        results = await asyncio.gather(*(Modern(app).call("echo", {"n": n}) for n in range(40)))
    assert [json.loads(each["content"][0]["text"])["n"] for each in results] == list(range(40))
