"""Getting to know a server: once for all who wait for it, and to its end when they have given up, or a slow one is never known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.errors import Refused, UpstreamError
from gateway.mcp.upstream import Hello
from gateway.tasks import end, under_way


class Meeting:
    def __init__(self) -> None:
        self._task: asyncio.Task[Hello] | None = None

    async def shared(self, greet: Callable[[], Coroutine[Any, Any, Hello]]) -> Hello:
        """Who joins a greeting that then fails greets for itself: it may have failed because of another caller."""
        while True:
            joined = under_way(self._task)
            if not joined:
                self._task = asyncio.create_task(greet())
                self._task.add_done_callback(_heard_of)
            assert self._task is not None
            try:
                return await asyncio.shield(self._task)
            except (UpstreamError, Refused):
                if not joined:
                    raise

    async def close(self) -> None:
        await end(self._task)


def _heard_of(greeting: asyncio.Task[Hello]) -> None:
    """One that failed while nobody waited for it any more is begun again by the next request."""
    if not greeting.cancelled():
        greeting.exception()
