import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.metering.record import Record
from gateway.stores import open_store, schema
from gateway.stores.protocols import Store
from gateway.stores.sqlite import SqliteStore
from gateway.stores.writer import Writer
from tests.stores.contention import ROOT, contend
from tests.stores.contract import *  # noqa: F403
from tests.stores.contract import Clock, requests


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(clock: Clock, tmp_path: Path) -> AsyncIterator[Store]:
    opened = SqliteStore(str(tmp_path / "gateway.db"), clock=clock)
    yield opened
    await opened.close()


async def test_four_processes_on_one_key_admit_no_more_than_the_bound_and_hardly_less(tmp_path: Path) -> None:
    rate, burst = 50.0, 40.0
    outcome = await contend(
        f"sqlite:///{tmp_path / 'shared.db'}", processes=4, rate=rate, burst=burst, seconds=1.0, pace=0.01
    )
    assert outcome.admitted <= burst + rate * outcome.seconds
    assert outcome.admitted >= 0.95 * (burst + rate * 1.0) - 1


WORKER = """
import asyncio, sys
from gateway.limits.bucket import Take
from gateway.metering.record import Record
from gateway.stores.sqlite import SqliteStore
from gateway.stores.writer import Writer

async def main() -> None:
    store = SqliteStore(sys.argv[1])
    for number in range(10**9):
        await store.take("e", [Take("budget", 0.0, 1e6, 3.0, since=1_800_000_000.0)])
        await store.settle("e", [Take("budget", 0.0, 1e6, -1.0, since=1_800_000_000.0)])
        await store.append([Record(f"r{number}", "c", 1.8e9, "llm", "messages", "/", "ok")])
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("moment", [1, 7, 40])
async def test_kill_9_corrupts_nothing_and_loses_nothing_that_was_settled(
    tmp_path: Path, moment: int
) -> None:
    path = tmp_path / "gateway.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, str(path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    told = -1
    while told < moment:
        told = int(await process.stdout.readline())
    process.kill()
    rest = (await process.stdout.read()).splitlines()
    await process.wait()
    told = int(rest[-1]) if rest else told
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    opened = SqliteStore(str(path))
    try:
        (total,) = await opened.usage(since=0, until=1.9e9)
        assert total.calls in (told + 1, told + 2)  # the last one may be written and not yet told
        ((_, state),) = await opened.buckets()
        spent = state["budget"] % 10**14 / 1e6
        # Every call is charged: at two where it was settled, at its reservation of three where it was not yet.
        assert 2 * (told + 1) <= spent <= 2 * (told + 3) + 3
    finally:
        await opened.close()


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        SqliteStore(str(path))


async def test_a_file_that_another_process_holds_is_a_store_error_and_settlements_wait(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "gateway.db")
    store = SqliteStore(path)
    await store.take("e", [requests()])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await store.settle("e", [requests(5)])
    with pytest.raises(StoreError):
        await store.take("e", [requests()])
    other.execute("ROLLBACK")
    other.close()
    assert (await store.take("e", [requests(0.5)])).remaining["requests"] < 5
    await store.close()


async def test_a_file_of_the_first_schema_goes_on(tmp_path: Path, clock: Clock) -> None:
    path = str(tmp_path / "gateway.db")
    groups = "user principal agent project session kind method route provider model upstream_model server tool outcome policy day"
    sums = "refused failed input output cache_read cache_write reasoning usd estimated unpriced"
    columns = ", ".join(
        [f"{name} TEXT" for name in groups.split()] + [f"{name} NUMERIC" for name in sums.split()]
    )
    old = sqlite3.connect(path)
    old.executescript(
        f"CREATE TABLE records (id TEXT UNIQUE, position TEXT PRIMARY KEY, at REAL, row BLOB, {columns}) WITHOUT ROWID;"
        "PRAGMA user_version = 1;"
    )
    first = Record("r1", "c", clock.now - 1, "llm", "messages", "/", "ok", user="ann")
    old.execute(f"INSERT INTO records VALUES ({', '.join('?' * 30)})", schema.row(first))
    old.commit()
    old.close()
    opened = SqliteStore(path, clock=clock)
    await opened.append([Record("r2", "c", clock.now, "llm", "messages", "/", "ok", user="ann")])
    assert [record.id for record in await opened.records()] == ["r2", "r1"]
    (total,) = await opened.usage(since=0, until=clock.now + 1, by=["user"])
    assert (total.group, total.calls) == (("ann",), 2)
    await opened.close()


async def test_a_disk_that_takes_too_long_is_a_store_error(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.db")
    store = SqliteStore(path, patience=0.05)
    await store.take("e", [requests()])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"did not write for 0\.05 s"):
        await store.take("e", [requests()])
    other.execute("ROLLBACK")
    other.close()
    await store.close()


async def test_a_write_that_nobody_waits_for_any_more_is_not_begun(tmp_path: Path) -> None:
    writer = Writer(lambda: sqlite3.connect(tmp_path / "w.db", isolation_level=None, check_same_thread=False))
    busy, go_on = threading.Event(), threading.Event()
    begun: list[str] = []

    def slow(connection: sqlite3.Connection) -> None:
        busy.set()
        go_on.wait(10)

    first = asyncio.create_task(writer.do(slow))
    await asyncio.to_thread(busy.wait, 10)
    left = asyncio.create_task(writer.do(lambda connection: begun.append("left")))
    waiting = asyncio.create_task(writer.do(lambda connection: begun.append("waiting")))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, waiting)
    assert begun == ["waiting"]
    writer.close()


async def test_records_past_their_time_leave_when_new_ones_come(tmp_path: Path, clock: Clock) -> None:
    def record(name: str, days: float) -> Record:
        return Record(name, "c", clock.now - days * 86_400, "llm", "messages", "/", "ok")

    path = str(tmp_path / "gateway.db")
    opened = SqliteStore(path, retention=90 * 86_400.0, clock=clock)
    await opened.append([record("old", 91), record("young", 89)])
    assert [found.id for found in await opened.records()] == ["young"]
    clock.now += 2 * 86_400
    await opened.append([record("new", 0)])
    assert [found.id for found in await opened.records()] == ["new"]
    await opened.close()
    named = open_store(f"sqlite:///{path}?retention=90d")
    assert [found.id for found in await named.records()] == ["new"]
    await named.close()


async def test_a_directory_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open"):
        SqliteStore(str(tmp_path / "nowhere" / "gateway.db"))
