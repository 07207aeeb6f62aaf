"""What becomes of a decision when DynamoDB is throttled, slow, gone, forbidden, or lives in another time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.call import Call, Operation, Principal
from gateway.errors import Refused, StoreError, StoreUnusable
from gateway.limits.bucket import Take
from gateway.limits.policy import RateLimiter
from gateway.limits.rules import Budget, Limit
from gateway.metering.prices import Prices
from gateway.metering.record import Record
from gateway.metering.spool import Spool
from gateway.net.pool import Pool
from gateway.stores.dynamodb.buckets import DynamoBuckets
from gateway.stores.dynamodb.client import DynamoClient
from gateway.stores.dynamodb.credentials import Fixed, Renewed
from gateway.stores.dynamodb.leases import Leases
from gateway.stores.dynamodb.ledger import DynamoLedger
from gateway.stores.dynamodb.sigv4 import Credentials
from gateway.stores.dynamodb.store import DynamoStore
from tests.stores.stub import (
    BROKEN,
    CONFLICT,
    FORBIDDEN,
    GARBAGE,
    NO_TABLE,
    SKEWED,
    THROTTLED,
    Answer,
    Stub,
    taken,
)

TAKE = [Take("l", 10.0, 100, 1)]
FAR = int((time.time() + 3600) * 1_000_000)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool()
    yield made
    await made.close()


def client(pool: Pool, url: str, *, budget: float = 1.0) -> DynamoClient:
    fixed = Fixed(Credentials("AKID", "secret"))
    return DynamoClient(
        pool, region="eu-west-1", endpoint=url, credentials=fixed, budget=budget, jitter=lambda: 0.0
    )


async def take(pool: Pool, stub: Stub, *, budget: float = 1.0) -> str:
    answer = await DynamoBuckets(client(pool, stub.url, budget=budget), "t").take("e", TAKE)
    return answer.denied


@pytest.mark.parametrize("failure", [THROTTLED, CONFLICT, BROKEN, GARBAGE])
async def test_what_may_pass_is_tried_once_more(pool: Pool, failure: Answer) -> None:
    async with Stub([failure, taken(l=FAR)]) as stub:
        assert await take(pool, stub) == ""
        assert len(stub.requests) == 2


@pytest.mark.parametrize("failure", [THROTTLED, BROKEN])
async def test_and_only_once(pool: Pool, failure: Answer) -> None:
    async with Stub([failure]) as stub:
        with pytest.raises(StoreError):
            await take(pool, stub)
        assert len(stub.requests) == 2


@pytest.mark.parametrize(
    ("failure", "why"), [(FORBIDDEN, "may not dynamodb:UpdateItem"), (NO_TABLE, "no table")]
)
async def test_what_will_not_pass_is_said_at_once(pool: Pool, failure: Answer, why: str) -> None:
    async with Stub([failure]) as stub:
        with pytest.raises(StoreUnusable, match=why):
            await take(pool, stub)
        assert len(stub.requests) == 1


async def test_a_slow_store_is_given_up_within_the_budget(pool: Pool) -> None:
    async with Stub([taken(l=FAR)], delay=5) as stub:
        started = time.monotonic()
        with pytest.raises(StoreError):
            await take(pool, stub, budget=0.1)
        assert time.monotonic() - started < 2


async def test_nobody_listening_is_a_store_error(pool: Pool) -> None:
    async with Stub([taken(l=1)]) as stub:
        url = stub.url
    with pytest.raises(StoreError):
        await DynamoBuckets(client(pool, url), "t").take("e", TAKE)


async def test_a_clock_that_is_wrong_is_learned_from_the_server(pool: Pool) -> None:
    theirs = time.time() + 7200
    async with Stub([SKEWED, taken(l=FAR)], clock=theirs) as stub:
        assert await take(pool, stub) == ""
        wanted = time.strftime("%Y%m%dt%H%M", time.gmtime(theirs))
        assert stub.stamps[1].startswith(wanted[:-1])
        assert not stub.stamps[0].startswith(wanted[:-2])


async def test_a_wrong_secret_is_not_taken_for_a_wrong_clock(pool: Pool) -> None:
    async with Stub([SKEWED]) as stub:
        with pytest.raises(StoreError, match="InvalidSignature"):
            await take(pool, stub)


def call() -> tuple[Call, Operation]:
    made = Call("req_1", 0.0, 0, "/v1/messages", principal=Principal("key:ann", "key"))
    made.body = b"{}"
    return made, Operation("llm", "messages", model="m1", max_tokens=10)


def limiter(pool: Pool, stub: Stub, **options: object) -> RateLimiter:
    store = DynamoBuckets(client(pool, stub.url), "t")
    return RateLimiter(store, prices=Prices({"m*": {"input": 1, "output": 1}}), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("failure", [THROTTLED, FORBIDDEN, BROKEN, SKEWED])
async def test_requests_go_on_with_a_local_share(pool: Pool, failure: Answer) -> None:
    async with Stub([failure]) as stub:
        policy = limiter(pool, stub, limits=[Limit(requests=4, per=3600)], instances=2)
        for _ in range(2):
            await policy.reserve(*call())
        with pytest.raises(Refused):
            await policy.reserve(*call())
        assert policy.counters["failed_open"] == 3


@pytest.mark.parametrize("failure", [THROTTLED, FORBIDDEN, BROKEN, SKEWED])
async def test_money_is_not_spent(pool: Pool, failure: Answer) -> None:
    async with Stub([failure]) as stub:
        policy = limiter(pool, stub, budgets=[Budget(usd=5, per="day")])
        with pytest.raises(Refused) as refused:
            await policy.reserve(*call())
        assert (refused.value.refusal.status, refused.value.refusal.kind) == (429, "billing_error")
        assert policy.counters["failed_closed"] == 1


def failed(**values: int) -> Answer:
    item = {name: {"N": str(value)} for name, value in values.items()}
    return 400, {"__type": "x#ConditionalCheckFailedException", "message": "no", "Item": item}


async def test_a_denied_key_is_denied_here_until_it_may_come_back(pool: Pool) -> None:
    now = [1_800_000_000.0]
    full = int((now[0] + 10) * 1_000_000)
    async with Stub([failed(l=full), taken(l=full)]) as stub:
        buckets = DynamoBuckets(client(pool, stub.url), "t", clock=lambda: now[0], skew=0)
        first = await buckets.take("e", TAKE)
        assert (first.denied, first.retry_after) == ("l", pytest.approx(0.1))
        for _ in range(50):
            assert (await buckets.take("e", TAKE)).denied == "l"
        assert len(stub.requests) == 1
        now[0] += 0.1
        assert (await buckets.take("e", TAKE)).denied == ""


async def test_a_denial_of_some_limits_is_none_that_says_what_is_left_of_others(pool: Pool) -> None:
    day = int(time.time() // 86_400)
    spent = failed(day=(day * 100_000_000 + 10) * 1_000_000, opus=0)
    budgets = [
        Budget(usd=1, per="day", name="day"),
        Budget(usd=1, per="day", name="opus", when=lambda call, op: op.model == "m2"),
    ]
    async with Stub([spent]) as stub:
        policy = limiter(pool, stub, budgets=budgets)
        asked, op = call()
        for model in ("m1", "m2", "m2", "m1"):
            with pytest.raises(Refused, match="day"):
                await policy.reserve(asked, replace(op, model=model))
        assert len(stub.requests) == 2


async def test_a_wrong_guess_is_made_right_by_what_the_failed_write_told(pool: Pool) -> None:
    now = 1_800_000_000.0
    busy = int((now + 1) * 1_000_000)
    async with Stub([failed(l=busy), taken(l=busy + 100_000)]) as stub:
        buckets = DynamoBuckets(client(pool, stub.url), "t", clock=lambda: now, skew=0)
        assert (await buckets.take("e", TAKE)).denied == ""
        assert [request["UpdateExpression"] for request in stub.requests] == [
            "SET #e = :e, #0 = :n0",
            "SET #e = :e, #0 = #0 + :i0",
        ]


async def test_a_settlement_is_folded_into_the_next_write(pool: Pool) -> None:
    now = 1_800_000_000.0
    busy = int((now + 1) * 1_000_000)
    async with Stub([taken(l=busy)]) as stub:
        buckets = DynamoBuckets(client(pool, stub.url), "t", clock=lambda: now)
        await buckets.take("e", TAKE)
        await buckets.settle("e", [Take("l", 10.0, 100, 5)])
        await buckets.take("e", TAKE)
        assert len(stub.requests) == 2
        assert stub.requests[1]["ExpressionAttributeValues"][":i0"] == {"N": "600000"}
        await buckets.close()
        assert len(stub.requests) == 2


async def test_a_settlement_nothing_follows_is_written_when_the_store_closes(pool: Pool) -> None:
    async with Stub([taken(l=FAR)]) as stub:
        buckets = DynamoBuckets(client(pool, stub.url), "t")
        await buckets.take("e", TAKE)
        await buckets.settle("e", [Take("l", 10.0, 100, -0.5)])
        await buckets.close()
        assert stub.requests[1]["ExpressionAttributeValues"][":p0"] == {"N": "-50000"}


async def test_a_lease_pays_for_as_many_calls_as_there_are_in_a_second_and_gives_back_the_rest(
    pool: Pool,
) -> None:
    now = 1_800_000_000.0
    async with Stub([taken(l=int((now + 1) * 1_000_000))]) as stub:
        leases = Leases(size=20)
        buckets = DynamoBuckets(client(pool, stub.url), "t", clock=lambda: now, leases=leases)
        for _ in range(24):
            assert (await buckets.take("e", TAKE)).denied == ""
        taken_at_once = [
            int(r["ExpressionAttributeValues"][":i0"]["N"]) // 100_000 for r in stub.requests[1:]
        ]
        assert taken_at_once == [1, 1, 1, 5, 10, 20]
        await buckets.close()
        assert stub.requests[-1]["ExpressionAttributeValues"][":p0"] == {"N": "-1500000"}
        assert not leases.held


async def test_credentials_are_renewed_before_they_end_and_nobody_waits() -> None:
    now = [1000.0]
    loaded: list[float] = []

    def load() -> Credentials:
        loaded.append(now[0])
        return Credentials("AKID", f"secret{len(loaded)}", expires=now[0] + 3600)

    source = Renewed(load, clock=lambda: now[0])
    assert (await source.get()).secret_key == "secret1"
    now[0] += 3000
    assert (await source.get()).secret_key == "secret1"
    now[0] += 350
    assert (await source.get()).secret_key == "secret1"
    task = source._task
    assert task is not None
    await task
    assert (await source.get()).secret_key == "secret2"
    assert loaded == [1000.0, 4350.0]


async def test_credentials_that_are_not_renewed_in_time_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    now, found = [1000.0], [Credentials("AKID", "secret", expires=4600.0)]
    source = Renewed(lambda: found.pop(), clock=lambda: now[0])
    await source.get()
    now[0] = 4595.0  # so near to the end that they are waited for
    assert (await source.get()).secret_key == "secret"
    assert "the AWS credentials are not renewed yet: pop from empty list" in caplog.messages


async def test_without_credentials_the_store_says_so() -> None:
    def load() -> Credentials:
        raise LookupError("nothing found")

    with pytest.raises(StoreError, match="nothing found"):
        await Renewed(load).get()


def row(number: int) -> Record:
    return Record(f"r{number}", "c", 1.8e9, "llm", "messages", "/", "ok")


async def test_what_a_batch_left_unwritten_is_written_again(pool: Pool) -> None:
    left = {"UnprocessedItems": {"t": [{"PutRequest": {"Item": {"pk": {"S": "x"}, "sk": {"S": "y"}}}}]}}
    async with Stub([(200, left), (200, {})]) as stub:
        await DynamoLedger(client(pool, stub.url), "t").append([row(number) for number in range(26)])
        assert [len(request["RequestItems"]["t"]) for request in stub.requests] == [25, 1, 1]


def holding(most: int, written: set[str], answer: Answer) -> Callable[[dict[str, Any]], Answer]:
    """Answers as a table does: it takes all items of a request, or none where one of them is too large."""

    def answered(request: dict[str, Any]) -> Answer:
        items = [each["PutRequest"]["Item"] for each in request["RequestItems"]["t"]]
        if any(len(item["record"]["S"]) > most for item in items):
            return answer
        written.update(item["sk"]["S"].partition("#")[2] for item in items)
        return 200, {}

    return answered


TOO_LARGE: Answer = (
    400,
    {"__type": "x#ValidationException", "message": "Item size has exceeded the maximum allowed size"},
)


@pytest.mark.parametrize("answer", [TOO_LARGE, (413, {})])
async def test_a_record_that_no_item_can_hold_keeps_no_other_out(pool: Pool, answer: Answer) -> None:
    written: set[str] = set()
    made = [row(number) for number in range(100)]
    made[30].reason = "x" * 500_000
    made[60].user = "\ud800"
    async with Stub(holding(400_000, written, answer)) as stub:
        spool = Spool(DynamoLedger(client(pool, stub.url), "t"), linger=0)
        for each in made:
            spool.put(each)
        assert await spool.flush()
    assert written == {each.id for each in made} - {"r30", "r60"}
    assert spool.dropped == 2


async def test_an_entity_that_no_key_can_hold_is_a_store_error(pool: Pool) -> None:
    async with Stub([taken(l=FAR)]) as stub:
        with pytest.raises(StoreError, match="surrogates"):
            await DynamoBuckets(client(pool, stub.url), "t").take("user=\ud800", TAKE)


async def test_the_table_forgets_a_record_when_its_time_is_over(pool: Pool) -> None:
    async with Stub([(200, {})]) as stub:
        await DynamoLedger(client(pool, stub.url), "t", retention=90 * 86_400.0).append([row(1)])
        (put,) = stub.requests[0]["RequestItems"]["t"]
        assert put["PutRequest"]["Item"]["expires"] == {"N": str(int(1.8e9) + 90 * 86_400)}


async def test_a_record_appended_twice_in_one_batch_is_sent_once(pool: Pool) -> None:
    async with Stub([(200, {})]) as stub:
        await DynamoLedger(client(pool, stub.url), "t").append([row(1), row(1)])
        assert [len(request["RequestItems"]["t"]) for request in stub.requests] == [1]


async def test_a_settlement_is_written_even_if_its_request_is_cancelled(pool: Pool) -> None:
    async with Stub([taken(l=FAR)], delay=0.05) as stub:
        store = DynamoStore(client(pool, stub.url), "t", settle_now=True)
        policy = RateLimiter(store, limits=[Limit(tokens=1e6, per=60, name="l")])
        held = await policy.reserve(*call())
        task = asyncio.create_task(held.settle(None, None))
        while len(stub.requests) < 2:  # noqa: ASYNC110 (the stub tells nobody)
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while stub.answered < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert policy.counters["settle_errors"] == 0
        assert int(stub.requests[1]["ExpressionAttributeValues"][":p0"]["N"]) < 0
