"""A question about a year on DynamoDB: months that are over are read once, and one reading answers all who ask together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.stores import rows
from gateway.stores.dynamodb.months import Months, bounds, merged

START, END = bounds("2026-02")
DAY = 86_400


def record(number: int, at: float, user: str = "ann") -> Record:
    return Record(f"r{number}", "c", at, "llm", "messages", "/", "ok", user=user, usage=Usage(10, 5), usd=0.5)


class Reader:
    """The records of February, in two shards; counts how often they are read."""

    def __init__(self, *found: Record) -> None:
        self.found = list(found)
        self.readings = 0

    async def __call__(self, month: str, shard: int, first: str, last: str) -> AsyncIterator[Record]:
        self.readings += shard == 0
        for each in self.found:
            await asyncio.sleep(0)
            if int(each.id[1:]) % 2 == shard and first <= rows.position(each) < last:
                yield each


def opened(*found: Record) -> tuple[Months, Reader]:
    reader = Reader(*found)
    return Months(reader, shards=2), reader


WHOLE = (rows.moment(START), rows.moment(END))


async def test_a_month_that_is_over_is_read_once_for_a_question() -> None:
    months, reader = opened(record(1, START), record(2, END - 1, "bob"), record(3, START + DAY))
    asked = [await months.usage("2026-02", *WHOLE, ("user",), None, now=END + 2 * DAY) for _ in range(3)]
    assert [(total.group, total.calls, total.usd) for total in asked[0]] == [
        (("ann",), 2, 1.0),
        (("bob",), 1, 0.5),
    ]
    assert asked[0] == asked[1] == asked[2]
    assert reader.readings == 1
    (bob,) = await months.usage("2026-02", *WHOLE, (), {"user": "bob"}, now=END + 2 * DAY)
    assert (bob.calls, reader.readings) == (1, 2)


@pytest.mark.parametrize(
    ("first", "last", "now"),
    [
        (*WHOLE, END + DAY / 2),  # records may still come
        (rows.moment(START + 1), WHOLE[1], END + 2 * DAY),  # not the whole month
        (WHOLE[0], rows.moment(END - 1), END + 2 * DAY),
    ],
)
async def test_what_may_change_or_is_a_part_is_read_again(first: str, last: str, now: float) -> None:
    months, reader = opened(record(1, START + DAY))
    for expected in (1, 2):
        (total,) = await months.usage("2026-02", first, last, (), None, now=now)
        assert (total.calls, reader.readings) == (expected, expected)
        reader.found.append(record(expected + 1, START + DAY + expected))


async def test_questions_that_come_together_are_one_reading() -> None:
    months, reader = opened(*(record(n, START + n, "ann" if n % 3 else "bob") for n in range(9)))
    questions = [(("user",), None), (("day",), None), ((), {"user": "bob"})]
    asked = (months.usage("2026-02", *WHOLE, by, where, now=END) for by, where in questions)
    users, days, bob = await asyncio.gather(*asked)
    assert reader.readings == 1
    assert ([each.calls for each in users], days[0].calls, bob[0].calls) == ([6, 3], 9, 3)


async def test_whoever_stops_waiting_takes_nothing_from_the_others() -> None:
    months, _ = opened(*(record(n, START + n) for n in range(50)))
    leaving = asyncio.create_task(months.usage("2026-02", *WHOLE, (), None, now=END))
    staying = asyncio.create_task(months.usage("2026-02", *WHOLE, (), None, now=END))
    await asyncio.sleep(0)
    leaving.cancel()
    (total,) = await staying
    assert total.calls == 50


def test_months_add_up() -> None:
    one, two = rows.Totals(["user"]), rows.Totals(["user"])
    one.add(record(1, START))
    two.add(record(2, END))
    two.add(record(3, END, "bob"))
    assert [
        (total.group[0], total.calls, total.tokens) for total in merged([one.result(), two.result()])
    ] == [
        ("ann", 2, 30),
        ("bob", 1, 15),
    ]


@pytest.mark.parametrize(("month", "days"), [("2026-02", 28), ("2024-02", 29), ("2026-12", 31)])
def test_a_month_has_its_days(month: str, days: int) -> None:
    start, end = bounds(month)
    assert end - start == days * DAY
