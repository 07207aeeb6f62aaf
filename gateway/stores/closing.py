"""Adding days up while nobody waits: one at a time, by one process at a time.

A day is read beside the thread that writes, which then only keeps what it came to. Between two days there is a pause of several times
what the last one took, so that a year that was never added up (after an upgrade of the file, say) leaves the machine to its calls.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from gateway.errors import StoreError
from gateway.stores import days
from gateway.tasks import end, under_way

log = logging.getLogger("gateway.stores")
T = TypeVar("T")
AGAIN = 3600.0  # seconds until it is looked again whether a day is over
REST = 9  # times as long as the work


class _Do(Protocol):
    def __call__(self, work: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]: ...


class Closing:
    def __init__(self, read: _Do, write: _Do, *, retention: float, clock: Callable[[], float]) -> None:
        self._read = read
        self._write = write
        self._retention = retention
        self._clock = clock
        self._next = 0.0
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """After a write. What it finds to do goes on by itself until it is done."""
        now = self._clock()
        if now >= self._next and not under_way(self._task):
            self._next = now + AGAIN
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def done(self) -> None:
        """Once there is nothing more to do."""
        if under_way(self._task):
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        await end(self._task)

    async def _run(self) -> None:
        time = asyncio.get_running_loop().time
        try:
            began = time()
            while await self._day():
                await asyncio.sleep(REST * (time() - began))
                began = time()
        except StoreError as error:
            log.warning("a day was not added up: %s", error)

    async def _day(self) -> bool:
        now = self._clock()
        oldest = now - self._retention
        claim = await self._write(lambda connection: days.claim(connection, now=now, oldest=oldest))
        if claim is None:
            return False
        found = await self._read(lambda connection: days.read(connection, claim.day, oldest=oldest))
        await self._write(lambda connection: days.learn(connection, found))
        await self._write(lambda connection: days.close(connection, claim, found))
        return True
