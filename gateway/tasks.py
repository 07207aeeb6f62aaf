"""Tasks beside the requests: one ends with the event loop that it ran in, and what began it may live on in another loop."""

from __future__ import annotations

import asyncio
from typing import Any, TypeGuard


def under_way(task: asyncio.Task[Any] | None) -> TypeGuard[asyncio.Task[Any]]:
    return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()


async def end(task: asyncio.Task[Any] | None) -> None:
    if under_way(task):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
