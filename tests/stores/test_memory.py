import pytest

from gateway.stores.memory import MemoryStore
from gateway.stores.protocols import Store
from tests.stores.contract import *  # noqa: F403
from tests.stores.contract import Clock, record, requests


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(clock: Clock) -> Store:
    return MemoryStore(clock=clock)


async def test_the_ledger_keeps_the_newest() -> None:
    store = MemoryStore(ledger_limit=3)
    await store.append([record(n) for n in range(5)])
    assert [row.id for row in await store.records()] == ["rec_4", "rec_3", "rec_2"]


async def test_the_newest_are_kept_in_whatever_order_they_come() -> None:
    store = MemoryStore(ledger_limit=3)
    for n in (4, 1, 3, 4, 2, 5):
        await store.append([record(n)])
    assert [row.id for row in await store.records()] == ["rec_5", "rec_4", "rec_3"]
    assert [total.calls for total in await store.usage(since=0, until=float("inf"))] == [3]


async def test_full_buckets_are_forgotten(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    for n in range(4096):
        await store.take(f"user={n}", [requests()])
    clock.now += 1
    await store.take("user=last", [requests()])
    assert [name for name, _ in await store.buckets()] == ["user=last"]
