"""Asking a server again: only what is safe to repeat, before anything has reached the client, and as a share of the calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable

from gateway.errors import UpstreamClosed, UpstreamError
from gateway.mcp.server import Server
from gateway.mcp.upstream import BadStatus
from gateway.net.retry import Budget, pause


class Repeats:
    """One budget for each server."""

    def __init__(self, servers: Iterable[Server], *, draw: Callable[[], float] = random.random) -> None:
        self._budgets = {server.name: Budget() for server in servers}
        self._draw = draw

    def called(self, server: Server) -> None:
        self._budgets[server.name].called()

    async def wait(self, server: Server, failed: UpstreamError, attempt: int, *, safe: bool) -> None:
        """Until the server may be asked again; raises what has failed where it may not. `safe`: it does no harm twice."""
        if attempt >= _allowed(server, failed, safe) or not self._budgets[server.name].take():
            raise failed
        await asyncio.sleep(pause(attempt, None, self._draw, first=server.retries.backoff) or 0)


def _allowed(server: Server, exc: UpstreamError, safe: bool) -> int:
    """Once more where a connection broke (an idle one may have, unseen) and nothing can have happened or no harm can come
    of it; beyond that as often as the file says, what is safe to repeat."""
    if isinstance(exc, UpstreamClosed) and (not exc.sent or safe):
        return max(1, server.retries.max)
    if isinstance(exc, BadStatus) and exc.status not in server.retries.on:
        return 0
    return server.retries.max if safe else 0
