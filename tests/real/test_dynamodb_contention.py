"""Many processes on one key of a real engine, and the engine really stopped while they ask."""

from __future__ import annotations

import asyncio
import runpy
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.call import Call, Operation, Principal
from gateway.errors import Refused
from gateway.limits.bucket import Take
from gateway.limits.policy import RateLimiter
from gateway.limits.rules import Budget, Limit
from gateway.metering.prices import Prices
from gateway.metering.record import Record
from gateway.metering.spool import Spool
from gateway.net.pool import Pool
from gateway.stores.dynamodb import table
from gateway.stores.dynamodb.client import DynamoClient
from gateway.stores.dynamodb.credentials import Fixed
from gateway.stores.dynamodb.sigv4 import Credentials
from gateway.stores.dynamodb.store import DynamoStore
from tests.real.engine import Engine
from tests.stores.contention import contend

pytestmark = pytest.mark.real
TABLE = "shared"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "data.db") as started:
        dynamodb = table.connect("eu-west-1", started.url, credentials=("test", "test"))
        table.create(dynamodb, TABLE)
        dynamodb.close()
        yield started


@pytest.mark.parametrize("options", ["&leases=0", "&leases=20", "&mode=lambda"])
async def test_eight_processes_stay_within_the_bound_and_use_it(engine: Engine, options: str) -> None:
    rate, burst, seconds, skew = 40.0, 60.0, 3.0, 0.05
    url = f"dynamodb://{TABLE}?region=eu-west-1&endpoint={engine.url}{options}&timeout=5"
    outcome = await contend(url, processes=8, rate=rate, burst=burst, seconds=seconds, pace=0.02)
    assert outcome.admitted <= burst + rate * outcome.seconds
    # What a lease holds when time is up is still in a process' hand.
    held = 8 * burst / 4 if "leases=20" in options else 0
    assert outcome.admitted >= 0.95 * (burst - skew * rate + rate * seconds) - 1 - held


async def test_a_decision_costs_hardly_more_than_one_write_under_contention(engine: Engine) -> None:
    rate, processes = 60.0, 8
    url = f"dynamodb://{TABLE}?region=eu-west-1&endpoint={engine.url}&leases=0&timeout=5"
    outcome = await contend(
        url, processes=processes, rate=rate, burst=60, seconds=4.0, pace=processes / (0.6 * rate)
    )
    assert outcome.writes / outcome.decisions <= 1.3


async def test_the_designs_own_configuration_costs_hardly_more_than_one_write_for_an_entity(
    engine: Engine,
) -> None:
    """Eight gateways at 60 % of its limits, from their first call on; `scripts/dynamodb_costs` does it for longer."""
    costs = runpy.run_path(str(ROOT / "scripts/dynamodb_costs"))
    shared = await costs["contended"](engine.url, 12.0)
    assert shared["refused"] == 0
    assert shared["decisions"] > 200
    assert shared["writes_each"] <= costs["BAR"] == 1.3


def call(number: int) -> tuple[Call, Operation]:
    made = Call(f"req_{number}", 0.0, 0, "/v1/messages", principal=Principal("key:ann", "key"), body=b"{}")
    return made, Operation("llm", "messages", model="m1", max_tokens=10)


async def test_the_engine_may_stop_and_come_back_under_load(engine: Engine) -> None:
    client = DynamoClient(
        Pool(), region="eu-west-1", endpoint=engine.url, credentials=Fixed(Credentials("a", "b")), budget=1.0
    )
    store = DynamoStore(client, TABLE)
    prices = Prices({"m*": {"input": 1, "output": 1}})
    requests = RateLimiter(store, limits=[Limit(requests=10_000, per=60)], prices=prices)
    money = RateLimiter(store, budgets=[Budget(usd=5, per="day")], prices=prices)

    async def ask(limiter: RateLimiter, number: int) -> bool:
        try:
            held = await limiter.reserve(*call(number))
        except Refused:
            return False
        await held.settle(None, None)
        return True

    async def load() -> tuple[int, int]:
        free = await asyncio.gather(*(ask(requests, n) for n in range(20)))
        paid = await asyncio.gather(*(ask(money, n) for n in range(5)))
        return sum(free), sum(paid)

    assert await load() == (20, 5)
    loading = asyncio.create_task(load())
    await asyncio.sleep(0)
    engine.stop()
    await loading
    assert await load() == (20, 0)
    assert requests.counters["failed_open"] > 0
    assert money.counters["failed_closed"] >= 5
    engine.start()
    async with asyncio.timeout(20):
        while await load() != (20, 5):  # noqa: ASYNC110 (until the breaker tries again)
            await asyncio.sleep(0.1)
    await store.close()


async def test_the_records_of_a_stopped_engine_are_written_when_it_is_back(engine: Engine) -> None:

    client = DynamoClient(
        Pool(), region="eu-west-1", endpoint=engine.url, credentials=Fixed(Credentials("a", "b")), budget=1.0
    )
    store = DynamoStore(client, TABLE)
    spool = Spool(store)
    at = time.time()
    engine.stop()
    for number in range(10):
        spool.put(Record(f"r{number}", "c", at, "llm", "messages", "/", "ok"))
    await asyncio.sleep(0.2)
    engine.start()
    async with asyncio.timeout(20):
        while len(await store.records()) < 10:  # noqa: ASYNC110 (until the spool tries again)
            await asyncio.sleep(0.1)
    await spool.close()
    await store.close()
    assert spool.dropped == 0


async def test_a_record_that_no_item_can_hold_keeps_no_other_out(engine: Engine) -> None:
    store = DynamoStore(
        DynamoClient(
            Pool(), region="eu-west-1", endpoint=engine.url, credentials=Fixed(Credentials("a", "b"))
        ),
        TABLE,
    )
    spool = Spool(store, linger=0)
    for number in range(60):
        reason = "x" * 1_000_000 if number in (7, 8, 50) else ""
        spool.put(Record(f"r{number}", "c", time.time(), "llm", "messages", "/", "ok", reason=reason))
    assert await spool.flush()
    assert len(await store.records()) == 57
    assert spool.dropped == 3
    await store.close()


def test_what_was_to_be_settled_in_an_event_loop_that_is_gone_is_settled_in_the_next(engine: Engine) -> None:
    pool = Pool()
    store = DynamoStore(
        DynamoClient(pool, region="eu-west-1", endpoint=engine.url, credentials=Fixed(Credentials("a", "b"))),
        TABLE,
    )

    def take(cost: float) -> list[Take]:
        return [Take("tokens", 1.0, 1000, cost)]

    async def begin() -> None:
        await store.take("e", take(500))
        await store.settle("e", take(-400))
        await pool.close()

    async def later() -> None:
        await store.settle("other", take(1))
        async with asyncio.timeout(20):
            while len(await store.buckets()) < 2:  # noqa: ASYNC110 (until a second is over)
                await asyncio.sleep(0.1)
        assert (await store.take("e", take(0))).remaining["tokens"] > 890
        await store.close()

    gone = asyncio.new_event_loop()
    gone.run_until_complete(begin())
    gone.close()  # what ran in it is not even cancelled
    asyncio.run(later())
