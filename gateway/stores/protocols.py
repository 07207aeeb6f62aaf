"""What a store is. One contract suite over memory, SQLite and DynamoDB is the definition of correct.

On the request path a verb is one conditional write of one item, or nothing. `list` and `usage` are paged and bounded,
for commands and the page only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.metering.record import Record


@dataclass(frozen=True, slots=True)
class Take:
    """One limit's share of a decision. `rate` a second, `burst` at most at once; both in the limit's own unit."""

    limit: str  # the limit's name: one attribute of the entity's item
    rate: float
    burst: float
    cost: float


@dataclass(frozen=True, slots=True)
class Taken:
    """`denied` names the first limit that said no; then nothing at all was taken."""

    denied: str = ""
    retry_after: float = 0.0
    remaining: Mapping[str, float] = ()  # type: ignore[assignment]  # limit name → what is left


@dataclass(frozen=True, slots=True)
class Item:
    value: Mapping[str, Any]
    version: int


class Buckets(Protocol):
    async def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        """All of them or none, in one write. Raises StoreError."""

    async def settle(self, entity: str, takes: Sequence[Take]) -> None:
        """Charge `cost` more (negative: give back), unconditionally."""


class Documents(Protocol):
    """Small JSON documents by kind and key: keys, kill switches, pins, budgets."""

    async def get(self, kind: str, key: str) -> Item | None: ...

    async def put(
        self,
        kind: str,
        key: str,
        value: Mapping[str, Any],
        *,
        expires: float | None = None,
        expect: int | None = None,
    ) -> bool:
        """`expect` is the version that must stand there (0: none); False if another one does."""

    async def delete(self, kind: str, key: str) -> None: ...

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Item]]:
        """In the order of keys, those after `after`."""


class Ledger(Protocol):
    async def append(self, records: Sequence[Record]) -> None:
        """Each record counts once, however often it is appended."""


class Store(Buckets, Documents, Ledger, Protocol):
    async def close(self) -> None: ...
