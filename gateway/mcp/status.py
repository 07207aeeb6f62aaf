"""How each server does: its era, how many tools it has, how fast it answers, and what went wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from gateway.call import Call
from gateway.errors import Refused, UpstreamError
from gateway.mcp import jsonrpc
from gateway.mcp.bounds import without_paths
from gateway.mcp.catalog import Catalog
from gateway.mcp.jsonrpc import Members
from gateway.mcp.peer import Peer
from gateway.mcp.server import Server
from gateway.mcp.tables import PROMPTS, RESOURCES, TOOLS


@dataclass(frozen=True, slots=True)
class Status:
    server: str
    era: str = ""  # modern | legacy; "" where it does not answer
    version: str = ""
    tools: int = 0
    latency_ms: float = 0.0
    error: str = ""
    unscoped: tuple[str, ...] = ()  # tools in which a rule for paths finds none
    hidden: tuple[str, ...] = ()  # tools that no client sees


def remarks(status: Status) -> str:
    """What an operator is told of tools that a rule for paths does not reach, and of those that nobody sees."""
    said = ""
    if status.unscoped:
        said += (
            f"\n        no path found in: {', '.join(status.unscoped)} (name theirs in scope.path_arguments)"
        )
    if status.hidden:
        said += f"\n        not shown: {', '.join(status.hidden)} (another server has the name, or x-mcp-header is misused)"
    return said


async def ask(
    catalog: Catalog, call: Call, *, clock: Callable[[], float] = time.perf_counter
) -> list[Status]:
    """All servers at the same time, none longer than the catalog's deadline."""
    view = await catalog.view(call, Peer(), TOOLS)

    async def one(server: Server) -> Status:
        if server.name in view.missing:
            return Status(server.name, error=str(view.missing[server.name]))
        try:
            async with asyncio.timeout(catalog.listings.deadline):
                hello = await server.upstream.hello(call, Peer())
                began = clock()
                page = await catalog.listings.fetch_page(call, Peer(), TOOLS, server, {})
            latency = (clock() - began) * 1000
            listed = _names(page)
        except (UpstreamError, Refused, TimeoutError, ValueError) as exc:
            return Status(server.name, error=str(exc) or "no answer in time")
        trees = [entry.tree for entry in view.entries if entry.server == server.name]
        shown = {tree.get("name") for tree in trees}
        return Status(
            server.name,
            "modern" if hello.modern else "legacy",
            hello.version,
            len(trees),
            latency,
            unscoped=tuple(without_paths(trees, server.scope)),
            hidden=tuple(name for name in listed if name not in shown),
        )

    return list(await asyncio.gather(*(one(server) for server in catalog.servers.values())))


def _names(page: Members) -> list[str]:
    """Raises ValueError."""
    trees = (orjson.loads(bytes(raw)) for raw in jsonrpc.items(bytes(page.get(TOOLS.member, b"[]"))))
    return [str(tree.get(TOOLS.key)) for tree in trees if isinstance(tree, dict)]


async def warm(catalog: Catalog, call: Call) -> None:
    """Connect to every server before the first client comes, within the catalog's deadline; whoever has not answered by
    then is tried again by the first call."""
    await asyncio.gather(*(catalog.view(call, Peer(), kind) for kind in (TOOLS, PROMPTS, RESOURCES)))
