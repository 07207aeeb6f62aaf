"""One file for all the workers of one machine."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

import msgspec

from gateway.errors import StoreError
from gateway.limits import bucket
from gateway.metering.record import Record
from gateway.stores import KEPT, days, lines, questions, rows, schema
from gateway.stores.closing import Closing
from gateway.stores.protocols import Item, Take, Taken, Total
from gateway.stores.writer import Writer

T = TypeVar("T")
PRUNED = 200  # records past their time that leave with a batch of new ones, and documents with a new one
PATIENCE = 2.0  # seconds
SWEEP = 60.0  # seconds between two looks for buckets that may be forgotten, and for what is past its time

_state = msgspec.json.Decoder(dict[str, int | dict[str, int]])


class SqliteStore:
    """`SqliteStore("gateway.db")`. Reads see what was committed; every write goes through one thread.

    `retention` is for how many seconds the ledger keeps a record; those past it leave a few at a time, when new ones come.
    `patience` is how long a disk may take over one decision of a limit.
    """

    def __init__(
        self,
        path: str,
        *,
        retention: float = KEPT,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._patience = patience
        self._retention = retention
        self._clock = clock
        try:
            self._reader = schema.connect(path)
            schema.create(self._reader)
            self._writer = Writer(schema.connect(path))
        except sqlite3.Error as error:
            raise StoreError(f"cannot open the SQLite store {path}: {error}") from error
        self.closing = Closing(self._beside, self._writer.do, retention=retention, clock=clock)
        self._sweep_at = self._prune_at = self._expire_at = 0.0
        self._known: lines.Known = {}

    async def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        try:
            async with asyncio.timeout(self._patience):
                return await self._writer.do(lambda connection: self._take(connection, entity, takes))
        except TimeoutError:
            raise StoreError(f"the SQLite store did not write for {self._patience:g} s") from None

    def _take(self, connection: sqlite3.Connection, entity: str, takes: Sequence[Take]) -> Taken:
        now = int(self._clock() * bucket.MICRO)
        self._sweep(connection, now)
        state = _read(connection, entity)
        found = bucket.decide(state, takes, now)
        if not found.denied:
            _write(connection, entity, state | found.changes)
        return found

    async def settle(self, entity: str, takes: Sequence[Take]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            state = _read(connection, entity)
            if state:
                _write(connection, entity, state | bucket.settled(state, takes))

        self._writer.later(work)

    def _sweep(self, connection: sqlite3.Connection, now: int) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP * bucket.MICRO
        full = connection.execute(
            "SELECT entity, state FROM buckets WHERE touched < ?", (now - SWEEP * bucket.MICRO,)
        )
        gone = [(entity,) for entity, state in full.fetchall() if bucket.idle(_state.decode(state), now)]
        connection.executemany("DELETE FROM buckets WHERE entity = ?", gone)

    async def buckets(
        self, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Mapping[str, Any]]]:
        found = await self._read(
            "SELECT entity, state FROM buckets WHERE substr(entity, 1, ?) = ? AND entity > ? ORDER BY entity LIMIT ?",
            (len(prefix), prefix, after, limit),
        )
        return [(entity, _state.decode(state)) for entity, state in found]

    async def get(self, kind: str, key: str) -> Item | None:
        try:
            return _document(self._reader, kind, key, self._clock())
        except sqlite3.Error as error:
            raise StoreError(f"the SQLite store failed: {error}") from error

    async def put(
        self,
        kind: str,
        key: str,
        value: Mapping[str, Any],
        *,
        expires: float | None = None,
        expect: int | None = None,
    ) -> bool:
        text = msgspec.json.encode(value)

        def work(connection: sqlite3.Connection) -> bool:
            standing = _document(connection, kind, key, self._clock())
            version = standing.version if standing else 0
            if expect is not None and expect != version:
                return False
            connection.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?, ?)",
                (kind, key, text, version + 1, expires),
            )
            self._expire(connection, self._clock())
            return True

        return await self._writer.do(work)

    def _expire(self, connection: sqlite3.Connection, now: float) -> None:
        if now < self._expire_at:
            return
        gone = connection.execute(
            "DELETE FROM documents WHERE (kind, key) IN (SELECT kind, key FROM documents WHERE expires <= ? LIMIT ?)",
            (now, PRUNED),
        ).rowcount
        if gone < PRUNED:
            self._expire_at = now + SWEEP

    async def delete(self, kind: str, key: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key))

        await self._writer.do(work)

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Item]]:
        found = await self._read(
            "SELECT key, value, version FROM documents WHERE kind = ? AND key > ? AND substr(key, 1, ?) = ?"
            " AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?",
            (kind, after, len(prefix), prefix, self._clock(), limit),
        )
        return [(key, Item(msgspec.json.decode(value), version)) for key, value, version in found]

    async def append(self, records: Sequence[Record]) -> None:
        def work(connection: sqlite3.Connection) -> lines.Known:
            now = self._clock()
            learnt = lines.insert(connection, records, self._known)
            days.reopen(connection, records, now=now)
            self._prune(connection, now)
            return learnt

        lines.learn(self._known, await self._writer.do(work))
        self.closing.wake()

    def _prune(self, connection: sqlite3.Connection, now: float) -> None:
        if now < self._prune_at:
            return
        oldest = now - self._retention
        gone = connection.execute(questions.PRUNE, (lines.micros(oldest), PRUNED)).rowcount
        if gone < PRUNED:
            connection.execute(questions.LEAVE, (lines.micros(oldest) // lines.PERIOD,))
            self._prune_at = now + SWEEP

    async def usage(
        self, *, since: float, until: float, by: Sequence[str] = (), where: Mapping[str, str] | None = None
    ) -> Sequence[Total]:
        names = rows.checked((*by, *(where or ())))

        def work(connection: sqlite3.Connection) -> Sequence[Total]:
            connection.execute("BEGIN")  # no day is closed or opened meanwhile
            oldest = self._clock() - self._retention
            found: list[tuple[Any, ...]] = []
            for table, first, last in days.parts(connection, since, until, names, oldest=oldest):
                found += connection.execute(*questions.totals(table, first, last, by, where))
            return rows.summed(found, len(by))

        return await self._beside(work)

    async def records(
        self,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        where: Mapping[str, str] | None = None,
        before: str = "",
        limit: int = 100,
    ) -> Sequence[Record]:
        query, values = questions.records(since, until, where, before, limit)
        return [lines.read(line) for line in await self._read(query, values)]

    async def close(self) -> None:
        await self.closing.close()
        await asyncio.to_thread(self._writer.close)
        self._reader.close()

    async def _read(self, query: str, values: Sequence[Any]) -> Sequence[Any]:
        def work(connection: sqlite3.Connection) -> Sequence[Any]:
            return connection.execute(query, values).fetchall()

        return await self._beside(work)

    async def _beside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Reads that may be long: beside the event loop, on a connection of their own."""

        def connected() -> T:
            with closing(schema.connect(self._path)) as connection:
                return work(connection)

        try:
            return await asyncio.to_thread(connected)
        except sqlite3.Error as error:
            raise StoreError(f"the SQLite store failed: {error}") from error


def _read(connection: sqlite3.Connection, entity: str) -> dict[str, int | bucket.Places]:
    found = connection.execute("SELECT state FROM buckets WHERE entity = ?", (entity,)).fetchone()
    return _state.decode(found[0]) if found else {}


def _write(connection: sqlite3.Connection, entity: str, state: bucket.State) -> None:
    values = (entity, msgspec.json.encode(state), time.time_ns() // 1000)
    connection.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", values)


def _document(connection: sqlite3.Connection, kind: str, key: str, now: float) -> Item | None:
    found = connection.execute(
        "SELECT value, version FROM documents WHERE kind = ? AND key = ? AND (expires IS NULL OR expires > ?)",
        (kind, key, now),
    ).fetchone()
    return Item(msgspec.json.decode(found[0]), found[1]) if found else None
