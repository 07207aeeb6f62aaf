"""The one thread that writes to an SQLite file: whatever waits is done in one transaction.

A job somebody awaits is committed at once, together with all that arrived meanwhile; one that nobody awaits (a settlement)
stays at most LINGER seconds for company. After `kill -9` the file holds exactly the batches that were committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from gateway.errors import StoreError, Unwritable

log = logging.getLogger("gateway.stores")
T = TypeVar("T")
LINGER = 0.05
RETRIES = 40  # times a job that nobody awaits is tried again while another process holds the file
# No fault of the file: a text that is none, a number beyond 64 bits, a row beyond its bound.
VALUES = (ValueError, TypeError, OverflowError, sqlite3.DataError, sqlite3.ProgrammingError)


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[sqlite3.Connection], T]
    future: asyncio.Future[T] | None = None
    loop: asyncio.AbstractEventLoop | None = None
    tried: int = 0


class Writer:
    """On a connection of its own, which it closes in the end."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._closed = False
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The work's result, once it is committed. Work that nobody waits for any more is not begun."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(_Job(work, future, loop))
        return await future

    def later(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Committed within LINGER seconds; nobody waits."""
        self._put(_Job(work))

    def _put(self, job: _Job[Any]) -> None:
        if self._closed:  # nobody would ever answer
            raise StoreError("the SQLite store is closed")
        self._jobs.put(job)

    def close(self) -> None:
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._gather()
            if batch:
                self._commit(self._connection, batch)
        self._connection.close()

    def _gather(self) -> tuple[list[_Job[Any]], bool]:
        batch: list[_Job[Any]] = []
        deadline, urgent = float("inf"), False
        while True:
            try:
                job = self._next(deadline, urgent)
            except Empty:
                return batch, True
            if job is None:
                return batch, False
            batch.append(job)
            urgent = urgent or job.future is not None
            deadline = min(deadline, time.monotonic() + LINGER)

    def _next(self, deadline: float, urgent: bool) -> _Job[Any] | None:
        if urgent:
            return self._jobs.get_nowait()
        wait = deadline - time.monotonic()
        return self._jobs.get(timeout=None if wait == float("inf") else max(0.0, wait))

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job[Any]]) -> None:
        batch = [job for job in batch if job.future is None or not job.future.cancelled()]
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [job.work(connection) for job in batch]
            connection.execute("COMMIT")
        except Exception as error:  # whatever one job's values are, the thread goes on
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(batch) == 1 or isinstance(error, sqlite3.OperationalError):
                kind = Unwritable if isinstance(error, VALUES) else StoreError
                return self._failed(batch, kind(f"the SQLite store failed: {error}"))
            for job in batch:  # what one job's values are is no reason to fail the others
                self._commit(connection, [job])
            return
        self._answer(list(zip(batch, results, strict=True)), None)

    def _failed(self, batch: list[_Job[Any]], error: StoreError) -> None:
        alone = [job for job in batch if job.future is None]
        hopeless = self._closed or isinstance(error, Unwritable)
        again = [job for job in alone if job.tried < RETRIES and not hopeless]
        for job in again:
            job.tried += 1
            self._jobs.put(job)
        if lost := len(alone) - len(again):
            log.warning("settlements lost, what was reserved stays charged: %d (%s)", lost, error)
        self._answer([(job, None) for job in batch], error)

    @staticmethod
    def _answer(done: list[tuple[_Job[Any], Any]], error: StoreError | None) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for job, result in done:
            if job.loop is not None and job.future is not None:
                loops.setdefault(job.loop, []).append((job.future, result))
        for loop, answers in loops.items():
            with contextlib.suppress(RuntimeError):  # a loop may be closed at any moment; the others go on
                loop.call_soon_threadsafe(_resolve, answers, error)


def _resolve(answers: list[tuple[asyncio.Future[Any], Any]], error: StoreError | None) -> None:
    for future, result in answers:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
