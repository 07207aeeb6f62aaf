"""Getting to know a server: once for all who wait for it, and to its end when they have given up, or a slow one is never known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from gateway.errors import Refused, UpstreamError
from gateway.tasks import end, under_way

T = TypeVar("T")


class Meeting(Generic[T]):
    def __init__(self) -> None:
        self._task: asyncio.Task[T] | None = None

    async def shared(self, greet: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Who joins a greeting that then fails asks once more: another caller may have been the reason."""
        task, joined = self._begun(greet)
        try:
            return await asyncio.shield(task)
        except (UpstreamError, Refused):
            if not joined:
                raise
        task, _ = self._begun(greet)
        return await asyncio.shield(task)

    def _begun(self, greet: Callable[[], Coroutine[Any, Any, T]]) -> tuple[asyncio.Task[T], bool]:
        """The one that is under way, or a new one."""
        task = self._task
        if under_way(task):
            return task, True
        task = self._task = asyncio.create_task(greet())
        task.add_done_callback(_heard_of)
        return task, False

    async def close(self) -> None:
        await end(self._task)


def _heard_of(greeting: asyncio.Task[T]) -> None:
    """One that failed while nobody waited for it any more is begun again by the next request."""
    if not greeting.cancelled():
        greeting.exception()
