"""How each server does: its era, how many tools it has, how fast it answers, and what went wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.call import Call
from gateway.errors import Refused, UpstreamError
from gateway.mcp.bounds import without_paths
from gateway.mcp.catalog import Catalog
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


def unscoped(status: Status) -> str:
    """What an operator is told of tools that a rule for paths does not reach; "" where there is none."""
    if not status.unscoped:
        return ""
    return f"\n        no path found in: {', '.join(status.unscoped)} (name theirs in scope.path_arguments)"


async def ask(
    catalog: Catalog, call: Call, *, clock: Callable[[], float] = time.perf_counter
) -> list[Status]:
    """All servers at the same time, none longer than the catalog's deadline."""
    view = await catalog.view(call, Peer(), TOOLS)

    async def one(server: Server) -> Status:
        if server.name in view.missing:
            return Status(server.name, error=view.missing[server.name])
        try:
            async with asyncio.timeout(catalog.deadline):
                hello = await server.upstream.hello(call, Peer())
                began = clock()
                await catalog.fetch_page(call, Peer(), TOOLS, server, {})
        except (UpstreamError, Refused, TimeoutError) as exc:
            return Status(server.name, error=str(exc) or "no answer in time")
        trees = [entry.tree for entry in view.entries if entry.server == server.name]
        return Status(
            server.name,
            "modern" if hello.modern else "legacy",
            hello.version,
            len(trees),
            (clock() - began) * 1000,
            unscoped=tuple(without_paths(trees, server.scope)),
        )

    return list(await asyncio.gather(*(one(server) for server in catalog.servers.values())))


async def warm(catalog: Catalog, call: Call) -> None:
    """Connect to every server before the first client comes, within the catalog's deadline; whoever has not answered by
    then is tried again by the first call."""
    await asyncio.gather(*(catalog.view(call, Peer(), kind) for kind in (TOOLS, PROMPTS, RESOURCES)))
