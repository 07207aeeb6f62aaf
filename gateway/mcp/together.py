"""What is done at several servers at the same time, none of which can hold up the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from gateway.call import Call
from gateway.errors import Refused, UpstreamError, UpstreamTimeout
from gateway.mcp.catalog import Catalog
from gateway.mcp.server import Server

T = TypeVar("T")


class Together:
    def __init__(self, catalog: Catalog) -> None:
        self._servers = catalog.servers
        self._listings = catalog.listings

    def awake(self, call: Call) -> list[Server]:
        """The servers that did not fail a moment ago."""
        return [server for server in self._servers.values() if not self._listings.rests(call, server)]

    async def each(
        self, servers: Iterable[Server], act: Callable[[Server], Awaitable[T]], noted: Call | None = None
    ) -> dict[str, T]:
        """The outcome by server; those that fail or are late are left out, and with `noted` left alone for a while."""

        async def one(server: Server) -> tuple[str, T] | None:
            try:
                async with asyncio.timeout(self._listings.deadline):
                    return server.name, await act(server)
            except UpstreamError as exc:
                why = exc
            except TimeoutError:
                why = UpstreamTimeout("no answer in time")
            except Refused:
                return None  # of this caller: no fault of the server
            if noted is not None:
                self._listings.fail(noted, server, why)
            return None

        outcomes = await asyncio.gather(*(one(server) for server in servers))
        return dict(outcome for outcome in outcomes if outcome is not None)
