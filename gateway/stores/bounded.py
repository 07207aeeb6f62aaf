"""Documents that may be forgotten, in this process: so many bytes, and those that were written first leave first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.stores.protocols import Item

MOST = 64 * 1024 * 1024  # bytes
BESIDE = 1024  # that a document takes beside its text


class BoundedDocuments:
    """`BoundedDocuments(most=64 * 1024 * 1024)`"""

    def __init__(self, *, most: int = MOST, clock: Callable[[], float] = time.time) -> None:
        self._most = most
        self._clock = clock
        self._documents: dict[tuple[str, str], tuple[bytes, float]] = {}
        self._size = 0

    async def get(self, kind: str, key: str) -> Item | None:
        text, expires = self._documents.get((kind, key), (b"", 0.0))
        return Item(msgspec.json.decode(text), 1) if expires > self._clock() else None

    async def put(
        self, kind: str, key: str, value: Mapping[str, Any], *, expires: float | None = None
    ) -> bool:
        text = msgspec.json.encode(value)
        self._leave((kind, key))
        self._documents[kind, key] = text, float("inf") if expires is None else expires
        self._size += len(text) + BESIDE
        while self._size > self._most:
            self._leave(next(iter(self._documents)))
        return True

    def _leave(self, place: tuple[str, str]) -> None:
        text, _ = self._documents.pop(place, (None, 0.0))
        if text is not None:
            self._size -= len(text) + BESIDE
