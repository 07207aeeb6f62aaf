"""What takes long, found by one timer: a prompt answer costs a dictionary entry, not a timer of its own."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Watch(Protocol):
    def start(self) -> None:
        """Called in the loop once it is late."""


class Late:
    """`Late(0.5)`: `start` is called on what was added and not removed, after that many seconds and at most as many more."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[Watch, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None  # whose timer runs

    def add(self, watch: Watch) -> None:
        loop = asyncio.get_running_loop()
        self._waiting[watch] = loop.time() + self._seconds
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(self._seconds, self._look, loop)

    def remove(self, watch: Watch) -> None:
        self._waiting.pop(watch, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for watch, due in list(self._waiting.items()):
            if due > now:
                break  # they stand in the order in which they came
            del self._waiting[watch]
            watch.start()
        if self._waiting:
            loop.call_later(self._seconds, self._look, loop)
        elif self._loop is loop:
            self._loop = None
