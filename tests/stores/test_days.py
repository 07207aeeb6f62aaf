"""Days of an SQLite file that are over: who adds them up, when, and that no answer ever shows it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gateway.metering.record import Record
from gateway.metering.spool import Spool
from gateway.metering.usage import Usage
from gateway.stores import days, rows, schema
from gateway.stores.protocols import Total
from gateway.stores.sqlite import SqliteStore
from tests.stores.contract import MIDNIGHT, NOON, Clock, record

DAY = 86_400.0
TODAY = int(NOON // DAY)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


@pytest.fixture
async def store(path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(str(path), clock=clock)
    yield opened
    await opened.close()


def week(*, each: int = 24) -> list[Record]:
    """Of six whole days, half of one before, and half of today."""
    return [_call(n, NOON - 7 * DAY + n * DAY / each) for n in range(7 * each)]


def _call(n: int, at: float) -> Record:
    user, tool = n % 5, n % 3 == 0
    changes = {
        "user": f"user{user}" if user else "", "principal": f"jwt:{user}", "agent": ("claude-code", "codex")[n % 2],
        "project": f"p{n % 4}", "groups": ((), ("eng",), ("eng", "ops"))[user % 3], "session": f"s{n // 10}",
        "labels": {} if user == 4 else {"cost.center": f"c'{user}\""}, "usage": None if tool else Usage(n, 2, 3, 4, 5, 6, n % 8 == 0),
        "outcome": "refused" if n % 7 == 0 else "timeout" if n % 11 == 0 else "ok", "policy": "authz" if n % 7 == 0 else "",
        "findings": ("guard mask pii", "authz would_refuse x")[: n % 3], "usd": 0.25 * (n % 4), "priced": n % 9 != 0,
    }  # fmt: skip
    called = (
        {"kind": "mcp", "method": "tools/call", "route": "/mcp", "server": "git", "tool": f"t{n % 2}"}
        if tool
        else {
            "provider": ("a", "b")[n % 2],
            "model": f"m{n % 3}" if n % 10 else "",
            "upstream_model": f"u{n % 3}",
        }
    )
    return record(n, at=at, **changes, **called)


def closed(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as file:
        return [at // (86_400 * 10**6) - TODAY for (at,) in file.execute("SELECT at FROM closed ORDER BY at")]


def plain(records: Sequence[Record], by: Sequence[str], where: dict[str, str]) -> list[Total]:
    """Every record, one after the other."""
    totals = rows.Totals(by)
    for each in records:
        if rows.matches(each, where):
            totals.add(each)
    return totals.result()


async def asked(store: SqliteStore, *by: str, **where: str) -> Sequence[Total]:
    return await store.usage(since=0, until=NOON + DAY, by=by, where=where)


async def test_days_that_are_over_are_added_up_without_anybody_asking(store: SqliteStore, path: Path) -> None:
    await store.append(week())
    await store.closing.done()
    assert closed(path) == [-7, -6, -5, -4, -3, -2, -1]


def test_days_are_added_up_in_the_next_event_loop_when_theirs_is_gone(path: Path, clock: Clock) -> None:
    opened = SqliteStore(str(path), clock=clock)
    gone = asyncio.new_event_loop()
    gone.run_until_complete(opened.append(week()))
    gone.close()  # what ran in it is not even cancelled
    assert closed(path) == []
    clock.now += 7200

    async def later() -> None:
        await opened.append([record(1, at=clock.now)])
        await opened.closing.done()
        await opened.close()

    asyncio.run(later())
    assert closed(path) == [-7, -6, -5, -4, -3, -2, -1]


def test_a_store_can_be_closed_when_the_event_loop_of_its_work_is_gone(path: Path, clock: Clock) -> None:
    opened = SqliteStore(str(path), clock=clock)
    spool = Spool(opened)

    async def begin() -> None:
        await opened.append(week())
        spool.put(record(1, at=clock.now))

    async def end() -> None:
        await spool.close()
        assert len(await opened.records(limit=1000)) == len(week()) + 1
        await opened.close()

    gone = asyncio.new_event_loop()
    gone.run_until_complete(begin())
    gone.close()
    asyncio.run(end())


async def test_a_day_is_added_up_once_it_is_over_for_a_while(
    store: SqliteStore, path: Path, clock: Clock
) -> None:
    await store.append([record(1, at=NOON)])
    await store.closing.done()
    assert closed(path) == []
    clock.now = MIDNIGHT + DAY + days.SETTLED
    await store.append([record(2, at=clock.now)])
    await store.closing.done()
    assert closed(path) == [0]


async def test_answers_are_right_whatever_is_added_up_by_then(path: Path, clock: Clock) -> None:
    made = week()
    opened = SqliteStore(str(path), clock=lambda: 0.0)  # to which no day is over
    await opened.append(made)
    with closing(schema.connect(str(path))) as file, closing(schema.connect(str(path))) as reader:
        for number in range(8):
            assert len(closed(path)) == number
            assert list(await asked(opened, "user", "day")) == plain(made, ["user", "day"], {})
            _turn(file, reader, clock.now)
    await opened.close()


def _turn(file: sqlite3.Connection, reader: sqlite3.Connection, now: float) -> None:
    claim = days.claim(file, now=now, oldest=0)
    if claim is not None:
        found = days.read(reader, claim.day, oldest=0)
        reader.execute("COMMIT")
        days.learn(file, found)
        days.close(file, claim, found)


ASKED = [[], ["user"], ["model", "day"], ["team"], ["label.cost.center", "user"], ["outcome", "policy"], ["findings", "agent"]]  # fmt: skip
FILTERS = [*rows.GROUPS, *rows.JOINED, "label.cost.center"]


@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_over_days_says_what_a_plain_sum_says(path: Path, clock: Clock, name: str) -> None:
    made = week(each=30)
    store = SqliteStore(str(path), clock=clock)
    await store.append(made)
    await store.closing.done()
    values = sorted({rows.value(each, name) for each in made})[:4]
    for where in [{name: value} for value in (*values, "nobody's")] + [{name: values[-1], "user": "user1"}]:
        for by in ASKED:
            found = await store.usage(since=0, until=NOON + DAY, by=by, where=where)
            assert list(found) == plain(made, by, where), (by, where)
    await store.close()


async def test_a_record_that_comes_late_opens_its_day_and_the_day_is_added_up_again(
    store: SqliteStore, path: Path, clock: Clock
) -> None:
    made = week()
    await store.append(made)
    await store.closing.done()
    late = _call(1000, NOON - 3 * DAY)
    await store.append([late, made[50]])  # one of them a second time
    assert -3 not in closed(path)
    assert list(await asked(store, "model")) == plain([*made, late], ["model"], {})
    clock.now += 3600
    await store.append([])
    await store.closing.done()
    assert closed(path) == [-7, -6, -5, -4, -3, -2, -1]
    assert list(await asked(store, "model")) == plain([*made, late], ["model"], {})


async def test_of_two_processes_one_adds_a_day_up(store: SqliteStore, path: Path) -> None:
    await store.append([record(1, at=NOON)])
    await store.closing.done()
    with closing(schema.connect(str(path))) as one, closing(schema.connect(str(path))) as other:
        await store.append([record(2, at=NOON - 2 * DAY), record(3, at=NOON - DAY)])
        first = days.claim(one, now=NOON, oldest=0)
        assert first is not None
        assert days.claim(other, now=NOON + days.LEASE - 1, oldest=0) is None
        slow = days.read(one, first.day, oldest=0)
        one.execute("COMMIT")
        second = days.claim(other, now=NOON + days.LEASE, oldest=0)  # the first may have died
        assert second is not None
        assert second.day == first.day
        found = days.read(other, second.day, oldest=0)
        other.execute("COMMIT")
        days.learn(one, slow)
        days.learn(other, found)
        for _ in range(2):
            days.close(one, first, slow)  # too late
            days.close(other, second, found)
        assert closed(path) == [-1]
        assert (await asked(store))[0].calls == 3


async def test_a_record_that_comes_while_its_day_is_added_up_is_not_lost(
    store: SqliteStore, path: Path
) -> None:
    await store.append([record(1, at=NOON)])
    await store.closing.done()
    await store.append([record(2, at=NOON - DAY)])
    with closing(schema.connect(str(path))) as file, closing(schema.connect(str(path))) as reader:
        claim = days.claim(file, now=NOON, oldest=0)
        assert claim is not None
        found = days.read(reader, claim.day, oldest=0)
        reader.execute("COMMIT")
        await store.append([record(3, at=NOON - DAY)])
        days.learn(file, found)
        days.close(file, claim, found)
        assert closed(path) == []
        _turn(file, reader, NOON)
    assert closed(path) == [-1]
    assert (await asked(store))[0].calls == 3


async def test_sums_and_sorts_leave_with_the_records_of_their_days(path: Path, clock: Clock) -> None:
    store = SqliteStore(str(path), retention=4 * DAY, clock=clock)
    await store.append([record(1, user="ann", at=NOON - 2 * DAY), record(2, user="bob", at=NOON - DAY)])
    await store.closing.done()
    assert closed(path) == [-2, -1]
    clock.now += 3 * DAY
    assert sum(each.calls for each in await asked(store)) == 2  # both records still stand
    await store.append([record(3, user="bob", at=NOON + DAY - 1)])
    await store.closing.done()
    assert closed(path) == [0, 1, 2]  # half of the day before is gone
    assert [(each.group, each.calls) for each in await asked(store, "user")] == [(("bob",), 2)]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT DISTINCT user FROM sorts WHERE kept = 'days'").fetchall() == [("bob",)]
    await store.close()


async def test_tables_of_sums_of_another_shape_are_made_anew(path: Path, clock: Clock) -> None:
    made = week()
    opened = SqliteStore(str(path), clock=clock)
    await opened.append(made)
    await opened.close()
    with closing(sqlite3.connect(path)) as file:
        for name in days.NAMES:
            file.execute(f"DROP TABLE {name}")
        file.execute("CREATE TABLE days (at INTEGER, row TEXT, calls NUMERIC)")
        file.execute("CREATE INDEX days_at ON days (at)")
        file.execute("CREATE TABLE closed (at INTEGER PRIMARY KEY)")
        file.execute("INSERT INTO closed VALUES (?)", ((TODAY - 1) * 86_400 * 10**6,))
        file.commit()
    again = SqliteStore(str(path), clock=clock)
    assert list(await asked(again, "user")) == plain(made, ["user"], {})
    await again.append([])
    await again.closing.done()
    assert closed(path) == [-7, -6, -5, -4, -3, -2, -1]
    assert list(await asked(again, "user")) == plain(made, ["user"], {})
    await again.close()
