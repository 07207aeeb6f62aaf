import asyncio
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import ConfigError, StoreError
from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.stores import open_store, rows, schema
from gateway.stores.protocols import Store, Taken
from gateway.stores.sqlite import SqliteStore
from gateway.stores.writer import Writer
from tests.stores.contention import ROOT, contend
from tests.stores.contract import *  # noqa: F403
from tests.stores.contract import FULL, NOON, Clock, record, requests


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


GROUPS = "user principal agent project session kind method route provider model upstream_model server tool outcome policy day"
SUMS = "refused failed input output cache_read cache_write reasoning usd estimated unpriced"
TYPED = [f"{name} TEXT" for name in GROUPS.split()] + [f"{name} NUMERIC" for name in SUMS.split()]
EARLIER = {
    1: f"CREATE TABLE records (id TEXT UNIQUE, position TEXT PRIMARY KEY, at REAL, row BLOB, {', '.join(TYPED)}) WITHOUT ROWID;",
    2: f"""CREATE TABLE records (id TEXT, position TEXT PRIMARY KEY, at REAL, row BLOB, {", ".join(TYPED)}) WITHOUT ROWID;
CREATE TABLE days (position TEXT, row TEXT, calls NUMERIC); CREATE INDEX days_position ON days (position);
CREATE TABLE closed (position TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO closed VALUES ('01800014400000000');""",
}


def earlier(path: Path, version: int, records: list[Record]) -> None:
    """A file as an earlier version left it; of the columns only those that are read on the way."""
    with sqlite3.connect(path) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(f"{EARLIER[version]} PRAGMA user_version = {version};")
        for each in records:
            line = (each.id, rows.position(each), each.at, rows.pack(each))
            old.execute("INSERT INTO records (id, position, at, row) VALUES (?, ?, ?, ?)", line)
    old.close()


@pytest.mark.parametrize("version", EARLIER)
async def test_a_file_of_an_earlier_schema_goes_on(tmp_path: Path, clock: Clock, version: int) -> None:
    path = tmp_path / "gateway.db"
    made = [record(n, user=("ann", "bob")[n % 2], at=NOON - n * 10_000.5) for n in range(100, 600)]
    earlier(path, version, [FULL, *made])
    opened = SqliteStore(str(path), clock=clock)
    assert await opened.records(limit=1000) == [FULL, *made]
    await opened.append([FULL, record(8, user="ann")])
    found = await opened.usage(since=0, until=NOON + 10, by=["user", "model"])
    assert [(each.group, each.calls) for each in found] == [
        (("ann", "claude-x"), 1), (("ann", ""), 251), (("bob", ""), 250)]  # fmt: skip
    await opened.close()


async def test_of_two_workers_one_brings_a_file_to_this_schema(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "gateway.db"
    earlier(path, 2, [FULL])
    both = await asyncio.gather(*(asyncio.to_thread(SqliteStore, str(path), clock=clock) for _ in range(2)))
    for opened in both:
        assert await opened.records() == [FULL]
        await opened.close()


DYING = """
import resource, signal, sys
from gateway.stores.sqlite import SqliteStore

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))  # of the log of what is not committed
SqliteStore(sys.argv[1])
"""


async def test_a_change_of_schema_that_is_killed_midway_has_changed_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "gateway.db"
    made = [record(n, at=NOON - n) for n in range(20_000)]
    earlier(path, 2, made)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, str(path), cwd=ROOT)
    assert await process.wait() == -signal.SIGXFSZ
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)
    file.close()
    opened = SqliteStore(str(path), clock=clock)
    assert await opened.records(limit=30_000) == made
    await opened.close()


async def test_a_provider_may_say_any_number_of_tokens(tmp_path: Path, clock: Clock) -> None:
    opened = SqliteStore(str(tmp_path / "gateway.db"), clock=clock)
    lies = [record(n, usage=Usage(input=2**63 - 1, output=2**80)) for n in range(3)]
    await opened.append([*lies, record(4, usage=Usage(input=5))])
    (total,) = await opened.usage(since=0, until=NOON * 2)
    assert (total.calls, total.input, total.output) == (4, 3 * 10**12 + 5, 3 * 10**12)
    await opened.close()


async def test_a_job_that_fails_ends_no_other(tmp_path: Path) -> None:
    writer = Writer(schema.connect(str(tmp_path / "w.db")))
    with pytest.raises(StoreError, match="failed"):
        await writer.do(lambda connection: connection.execute("SELECT ?", (2**80,)))
    assert await writer.do(lambda connection: 7) == 7
    writer.close()


async def test_values_that_no_file_can_hold_fail_nobody_who_writes_at_the_same_time(store: Store) -> None:
    bad = record(1, user="\ud800")
    good, failed, taken = await asyncio.gather(
        store.append([record(2)]), store.append([bad]), store.take("e", [requests()]), return_exceptions=True
    )
    assert (good, isinstance(failed, StoreError)) == (None, True)
    assert isinstance(taken, Taken)
    assert not taken.denied
    assert [each.id for each in await store.records()] == ["rec_2"]


FULL_DISK = """
import asyncio, os, resource, signal, sys, time
from gateway.errors import StoreError
from gateway.limits.bucket import Take
from gateway.metering.record import Record
from gateway.metering.spool import Spool
from gateway.stores.sqlite import SqliteStore

async def main(path: str) -> None:
    store = SqliteStore(path)
    spool = Spool(store, linger=0)
    held = [Take("requests", 0.001, 100, 1)]
    await store.take("e", held)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(path + "-wal"), resource.RLIM_INFINITY))
    for number in range(50):
        spool.put(Record(f"r{number}", "c", time.time(), "llm", "messages", "/", "ok"))
        assert not await spool.flush()
        try:
            await store.take("e", held)
        except StoreError as error:
            assert "disk" in str(error)
    await store.settle("e", [Take("requests", 0.001, 100, 50)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert await spool.flush()
    taken = await store.take("e", held)
    print(len(await store.records()), round(taken.remaining["requests"]), spool.dropped)
    await store.close()

asyncio.run(main(sys.argv[1]))
"""


async def test_when_a_full_disk_has_room_again_everything_goes_on(tmp_path: Path) -> None:
    assert await said(FULL_DISK, tmp_path / "gateway.db") == ["50 48 0"]


STARVED = """
import asyncio, os, resource, sys
from gateway.errors import StoreError
from gateway.metering.record import Record
from gateway.stores.sqlite import SqliteStore

async def main(path: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files in range(10):
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + files, hard))
        try:
            store = SqliteStore(path)
            async with asyncio.timeout(10):
                await store.append([Record("r", "c", 1.8e9, "llm", "messages", "/", "ok")])
            print("written")
        except StoreError as error:
            print("cannot open" if "cannot open" in str(error) else error)
            continue
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await store.close()

asyncio.run(main(sys.argv[1]))
"""


async def test_without_a_file_for_its_writer_a_store_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    await SqliteStore(str(path)).close()
    told = await said(STARVED, path)
    assert told == sorted(told)
    assert set(told) == {"cannot open", "written"}


async def said(program: str, path: Path) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return told.decode().splitlines()


async def test_a_settlement_that_is_lost_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SqliteStore(str(tmp_path / "gateway.db"))
    await store.settle("user=\ud800", [requests()])
    await store.close()
    assert "settlements lost, what was reserved stays charged: 1 (" in caplog.text


async def test_a_settlement_that_waits_for_the_file_when_the_store_closes_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(tmp_path / "gateway.db")
    store = SqliteStore(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await store.settle("e", [requests(5)])
    await store.close()
    other.close()
    assert "settlements lost, what was reserved stays charged: 1 (" in caplog.text


async def test_a_store_that_was_closed_says_so(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "gateway.db"))
    await store.close()
    for write in (store.append([record(1)]), store.take("e", [requests()]), store.settle("e", [requests()])):
        with pytest.raises(StoreError, match="closed"):
            await write


async def test_circumstances_leave_when_no_record_of_their_time_is_left(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "gateway.db"
    opened = SqliteStore(str(path), retention=86_400.0, clock=clock)
    await opened.append([record(1, user="ann"), record(2, user="bob")])
    clock.now += 40 * 86_400
    await opened.append([record(3, user="ann", at=clock.now)])
    with sqlite3.connect(path) as file:
        assert file.execute("SELECT user FROM circumstances").fetchall() == [("ann",)]
    file.close()
    await opened.append([record(4, user="bob", at=clock.now), record(5, user="ann", at=clock.now)])
    assert [(each.id, each.user) for each in await opened.records()] == [
        ("rec_5", "ann"), ("rec_4", "bob"), ("rec_3", "ann")]  # fmt: skip
    await opened.close()


async def test_circumstances_of_a_batch_that_was_not_committed_are_not_remembered(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "gateway.db"
    opened = SqliteStore(str(path), clock=clock)
    await opened.append([record(1, user="ann")])
    bad = record(2, user="bob")
    bad.id = 2**80  # type: ignore[assignment]
    with pytest.raises(StoreError):
        await opened.append([bad])
    await opened.append([record(3, user="bob")])
    assert [(each.id, each.user) for each in await opened.records()] == [("rec_3", "bob"), ("rec_1", "ann")]
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
    writer = Writer(schema.connect(str(tmp_path / "w.db")))
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


@pytest.mark.parametrize("before", ["abc", "#", "1e3#x"])
async def test_what_is_no_position_of_a_record_is_refused(store: Store, before: str) -> None:
    with pytest.raises(ConfigError, match="no position of a record"):
        await store.records(before=before)


async def test_behind_a_position_that_no_clock_tells_stands_every_record(store: Store) -> None:
    await store.append([FULL])
    assert await store.records(before="1" * 30 + "#x") == [FULL]


async def test_a_time_far_beyond_all_calendars_has_no_records(store: Store) -> None:
    await store.append([FULL])
    assert await store.records(since=1e14, until=2e14) == []
    assert await store.usage(since=1e14, until=1e14 + 60) == []


async def test_documents_past_their_time_leave_the_file_when_others_come(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    for n in range(250):
        await store.put("answer", f"{n:03}", {"n": n}, expires=NOON + 10)
    await store.put("kill", "user:ann", {"reason": "test"})
    left = sqlite3.connect(tmp_path / "gateway.db")
    counts = []
    for seconds in (61, 0, 0):
        clock.now += seconds
        await store.put("answer", "new", {}, expires=NOON + 3600)
        counts += left.execute("SELECT COUNT(*) FROM documents").fetchone()
    assert counts == [52, 2, 2]
    assert await store.get("kill", "user:ann") is not None
    plan = left.execute(
        "EXPLAIN QUERY PLAN SELECT kind, key FROM documents WHERE expires <= 1 LIMIT 1"
    ).fetchall()
    assert "documents_by_end" in plan[0][3]
    left.close()
