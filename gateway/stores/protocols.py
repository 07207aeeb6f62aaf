"""What a store is. One contract suite over memory, SQLite and DynamoDB is the definition of correct.

On the request path a verb is one conditional write of one item, or nothing. `list`, `usage`, `records` and `buckets` are
paged and bounded, for commands and the page only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from gateway.limits.bucket import Take as Take
from gateway.limits.bucket import Taken as Taken
from gateway.metering.record import Record


class Item(Struct, frozen=True):
    value: Mapping[str, Any]
    version: int


class Total(Struct, frozen=True):
    """What one group of records adds up to. `group` has one value for each `by`."""

    group: tuple[str, ...]
    calls: int = 0
    refused: int = 0
    failed: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    usd: float = 0.0
    estimated: int = 0  # calls whose usage the provider did not say
    unpriced: int = 0  # calls charged at the ceiling

    @property
    def tokens(self) -> int:
        return self.input + self.output + self.cache_read + self.cache_write


# What records can be grouped and filtered by, beside `label.NAME`, `team` (all groups of the caller, as one) and `findings`
# (all that policies said of a call, a line each).
GROUPS = ("user", "principal", "agent", "project", "session", "kind", "method", "route", "provider", "model",
          "upstream_model", "server", "tool", "outcome", "policy", "day")  # fmt: skip


class Buckets(Protocol):
    """A store whose `settle` waits for the network says so by `settle_waits = True`: then settlements are made side by side,
    and go on when the request is cancelled. One whose buckets are in this process has them as `local`: nobody waits for those."""

    async def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        """All of them or none, in one write. Raises StoreError."""

    async def settle(self, entity: str, takes: Sequence[Take]) -> None:
        """Charge `cost` more (negative: give back), unconditionally; a place is given back."""

    async def buckets(
        self, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """The entities in use, in an order of the store's own, after `after`, and the state of their limits (see `limits.bucket`)."""


class Shelf(Protocol):
    """What documents that may be lost need of a store."""

    async def get(self, kind: str, key: str) -> Item | None: ...

    async def put(
        self, kind: str, key: str, value: Mapping[str, Any], *, expires: float | None = None
    ) -> bool: ...


class Documents(Protocol):
    """Small JSON documents by kind and key: keys, kill switches, pins, budgets, answers."""

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
        """Each record counts once, however often it is appended. Raises Unwritable where one of them can never be."""

    async def usage(
        self, *, since: float, until: float, by: Sequence[str] = (), where: Mapping[str, str] | None = None
    ) -> Sequence[Total]:
        """What was used from `since` up to `until`, in groups of GROUPS, `team`, `findings` or `label.NAME`, the dearest first."""

    async def records(
        self,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        where: Mapping[str, str] | None = None,
        before: str = "",
        limit: int = 100,
    ) -> Sequence[Record]:
        """The newest first. The next page is the one `before` the `rows.position` of the last record seen."""


class Store(Buckets, Documents, Ledger, Protocol):
    async def close(self) -> None: ...
