"""`gateway mcp status`: each MCP server of a configuration, asked now."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from gateway.cli.opening import DEFAULT
from gateway.mcp import status as statuses
from gateway.mcp.status import Status


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "mcp",
        help="how the MCP servers of a configuration do",
        description="Ask each MCP server now: its era, its tools, its latency, its error; and name the tools in which a rule "
        "for paths finds no path. Exit code 1 where one does not answer.",
    )
    parser.add_argument("action", choices=("status",))
    parser.add_argument("--config", type=Path, metavar="FILE", default=DEFAULT)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    found = asyncio.run(_asked(args.config))
    if args.json:
        rows = [{"route": route, **asdict(status)} for route, status in found]
        print(orjson.dumps(rows).decode())
    else:
        print(
            "\n".join(_line(route, status) for route, status in found)
            or "this configuration has no MCP server"
        )
    return 1 if any(status.error for _, status in found) else 0


async def _asked(config: Path) -> list[tuple[str, Status]]:
    from gateway.config.build_mcp import mcp
    from gateway.config.load import load
    from gateway.config.resources import Resources
    from gateway.config.routes import path_of

    file = load(config).data
    resources = Resources(dry=True)
    resources.use(file)
    found: list[tuple[str, Status]] = []
    try:
        for route in file["routes"]:
            if "mcp" not in route:
                continue
            path = path_of(route)
            app = mcp(route["mcp"], path, file, config.parent, resources)
            try:
                found += [(path, status) for status in await app.status()]
            finally:
                await app.close()
    finally:
        await resources.close()
    return found


def _line(route: str, status: Status) -> str:
    if status.error:
        return f"down    {route} {status.server}: {status.error}"
    line = f"{status.era:7} {route} {status.server}: {status.tools} tools, {status.latency_ms:.0f} ms, {status.version}"
    return line + statuses.remarks(status)
