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
        self._young: dict[Watch, None] = {}  # since the timer last fired
        self._old: dict[Watch, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None  # whose timer runs

    def add(self, watch: Watch, loop: asyncio.AbstractEventLoop) -> None:
        self._young[watch] = None
        if self._loop is not loop:
            self._loop = loop
            loop.call_later(self._seconds, self._look, loop)

    def remove(self, watch: Watch) -> None:
        self._young.pop(watch, None)
        self._old.pop(watch, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        late, self._old, self._young = self._old, self._young, {}
        for watch in late:
            watch.start()
        if self._old:
            loop.call_later(self._seconds, self._look, loop)
        elif self._loop is loop:
            self._loop = None
