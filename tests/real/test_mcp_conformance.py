"""The official conformance suite, first straight against a server, then with the gateway before it: nothing may be lost.

The gateway federates a second server beside it and asks its policies, as it would in use.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.call import Call
from gateway.demo import math
from gateway.mcp.app import MCPApp
from gateway.mcp.http import HttpUpstream
from gateway.mcp.server import Server
from gateway.net.pool import Pool
from gateway.policies import Policies
from gateway.policy.authorization import Authorization
from gateway.types import App, Receive, Scope, Send
from tests.mcp.lambdas import lambdas
from tests.mcp.servers import served
from tests.real.mcp_programs import everything
from tests.real.programs import TOOLS, run

pytestmark = pytest.mark.real

MODULES = TOOLS / "conformance/node_modules"
_DATED = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")
REQUIRED = {"2025-11-25": 30, "2026-07-28": 37}


def judged(app: App) -> App:
    """With rules on, as the middlewares in front would have left them."""
    rules = Authorization(
        allow=[
            'mcp.tool.target == "everything"',
            'mcp.tool.name == "add"',
            'mcp.prompt.name != ""',
            'mcp.resource.name != ""',
        ],
        deny=['mcp.tool.name == "multiply"'],
    )

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        Call.of(scope).policies = Policies(authz=rules)
        await app(scope, receive, send)

    return outer


@asynccontextmanager
async def through(upstream: str) -> AsyncIterator[str]:
    async with served(math.app()) as second:
        pool = Pool()
        servers = [("everything", upstream), ("math", second)]
        app = MCPApp([Server(HttpUpstream(name, url, client=pool)) for name, url in servers])
        async with served(judged(app)) as url:
            yield url
        await pool.close()


def outcomes(out: Path) -> dict[str, bool]:
    scenarios: dict[str, bool] = {}
    for file in out.glob("server-*/checks.json"):
        checks = json.loads(file.read_text())
        name = _DATED.sub("", file.parent.name.removeprefix("server-"))
        scenarios[name] = bool(checks) and not any(check["status"] == "FAILURE" for check in checks)
    return scenarios


async def passed(url: str, out: Path, *, suite: str, revision: str = "") -> dict[str, bool]:
    """Scenario → whether no check of it failed."""
    command = [
        MODULES / "node/bin/node",
        MODULES / suite / "dist/index.js",
        "server",
        "--url",
        url,
        "-o",
        str(out),
    ]
    ended = await run([*command, *(["--requirements", revision] if revision else [])], seconds=280)
    scenarios = outcomes(out)
    assert scenarios, ended.err
    unscored = {
        line.split()[1] for line in ended.out.partition("Not scored")[2].splitlines()[1:] if "(" in line
    }
    return {name: good for name, good in scenarios.items() if name not in unscored}


@pytest.mark.parametrize("revision", REQUIRED)
async def test_no_required_scenario_is_lost(revision: str, tmp_path: Path) -> None:
    async with everything() as upstream:
        direct = await passed(upstream, tmp_path / "direct", suite="newest", revision=revision)
        async with through(upstream) as url:
            relayed = await passed(url, tmp_path / "relayed", suite="newest", revision=revision)
    assert sum(direct.values()) == REQUIRED[revision]
    assert {name for name, good in direct.items() if good} - {
        name for name, good in relayed.items() if good
    } == set()


async def test_nothing_is_lost_in_the_older_suite_either(tmp_path: Path) -> None:
    async with everything() as upstream:
        direct = await passed(upstream, tmp_path / "direct", suite="older")
        async with through(upstream) as url:
            relayed = await passed(url, tmp_path / "relayed", suite="older")
    good = {name for name, each in direct.items() if each}
    assert len(good) >= 25
    assert good - {name for name, each in relayed.items() if each} == set()


NEED_A_STREAM = {
    "2025-11-25": {
        "tools-call-with-progress",
        "tools-call-with-logging",
        "tools-call-sampling",
        "tools-call-elicitation",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
    },
    "2026-07-28": {"tools-call-with-progress"},
}


@pytest.mark.parametrize("revision", REQUIRED)
async def test_where_answers_are_buffered_only_what_needs_a_stream_is_lost(
    revision: str, tmp_path: Path
) -> None:
    async with everything() as upstream, served(math.app()) as second:
        servers = {"everything": {"url": upstream, "timeout": "3s"}, "math": {"url": second}}
        file = {
            "telemetry": {"log": "off"},
            "policies": {"auth": {"mode": "permissive"}},
            "routes": [{"path": "/mcp", "mcp": {"servers": servers, "seal_key": "k" * 32}}],
        }
        async with lambdas(json.dumps(file)) as app, served(app) as url:
            passes = await passed(url, tmp_path, suite="newest", revision=revision)
    assert len(passes) == REQUIRED[revision]
    assert {name for name, good in passes.items() if not good} == NEED_A_STREAM[revision]
