"""A stream's pieces on their straight way from one connection to the other, and what is known of them afterwards."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from gateway.llm.watch import BATCH
from gateway.net.client import Take


class Pouring(Struct, eq=False):
    """`pass_on` hands each piece to `take` at once; `note` is told of many together."""

    take: Take
    note: Callable[[bytes], None]
    _taken: list[bytes] = []
    _size: int = 0

    def pass_on(self, piece: bytes) -> bool:
        """False where the client is not ready for it."""
        if not self.take(piece):
            return False
        self._taken.append(piece)
        self._size += len(piece)
        if self._size >= BATCH:
            self.flush()
        return True

    def flush(self) -> None:
        if self._taken:
            data, self._size = b"".join(self._taken), 0
            self._taken.clear()
            self.note(data)
