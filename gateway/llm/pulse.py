"""Signs of life for a client that waits on a silent provider: clients give up after five minutes without a byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

SILENCE = 12.0  # seconds after which a translated stream gets a ping


class Pulse:
    """Calls `ping` whenever there was no `beat` for a while: one lazy timer, as on the upstream's side."""

    __slots__ = ("_last", "_loop", "_ping", "_silence", "_task", "_timer")

    def __init__(self, ping: Callable[[], Awaitable[None]], silence: float) -> None:
        self._ping = ping
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._task: asyncio.Future[None] | None = None
        self._timer = self._loop.call_later(silence, self._tick)

    def beat(self) -> None:
        self._last = self._loop.time()

    async def pause(self) -> None:
        """Returns when no ping is just being sent, so that what follows comes after it."""
        if self._task is not None and not self._task.done():
            await self._task

    def stop(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _tick(self) -> None:
        due = self._last + self._silence
        if self._loop.time() >= due:
            self.beat()
            if self._task is None or self._task.done():  # a client that does not read is sent no more of them
                self._task = asyncio.ensure_future(self._ping())
            due = self._last + self._silence
        self._timer = self._loop.call_at(due, self._tick)
