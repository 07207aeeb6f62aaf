"""A stream that passes untouched is looked at many pieces at a time: a look at each would cost more than handing it on."""

from __future__ import annotations

from gateway.llm.dialects.protocol import Watcher
from gateway.llm.encoding import Inflater

BATCH = 64 * 1024  # bytes between two looks


class Watch:
    """What passed since its watcher's last look. The first `seen` bytes it knows already, if it could read them."""

    __slots__ = ("_inflate", "_parts", "_seen", "_size", "_watcher")

    def __init__(self, watcher: Watcher, inflate: Inflater | None = None, *, seen: int = 0) -> None:
        self._watcher = watcher
        self._inflate = inflate
        self._seen = seen if inflate is None else 0
        self._parts: list[bytes] = []
        self._size = 0

    def passed(self, chunk: bytes) -> None:
        self._parts.append(chunk)
        self._size += len(chunk)
        if self._size >= BATCH:
            self.look()

    def look(self) -> Watcher:
        """The watcher, having seen everything that passed."""
        data = b"".join(self._parts)[self._seen :]
        self._parts, self._size, self._seen = [], 0, 0
        if data:
            self._watcher.feed(data if self._inflate is None else self._inflate.feed(data))
        return self._watcher

    def cut(self) -> bool:
        """At the stream's end: it has none of its own marks of an end. What is compressed need not be readable."""
        watcher = self.look()
        return self._inflate is None and not (watcher.finished or watcher.stop_reason or watcher.error)
