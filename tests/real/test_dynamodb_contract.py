"""The contract of a store, held against a real conditional-write engine, in each of the ways that the store is used."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.net.pool import Pool
from gateway.stores.dynamodb import table
from gateway.stores.dynamodb.client import DynamoClient
from gateway.stores.dynamodb.credentials import Fixed
from gateway.stores.dynamodb.leases import Leases
from gateway.stores.dynamodb.sigv4 import Credentials
from gateway.stores.dynamodb.store import DynamoStore
from tests.real.engine import Engine
from tests.stores.contract import *  # noqa: F403
from tests.stores.contract import Clock, requests

pytestmark = pytest.mark.real
_numbers = itertools.count()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(Path(tmp_path_factory.mktemp("dynoxide")) / "data.db") as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["settled at once", "settled with the next write", "with leases"])
async def store(request: pytest.FixtureRequest, engine: Engine, clock: Clock) -> AsyncIterator[DynamoStore]:
    name = f"contract{next(_numbers)}"
    dynamodb = table.connect("eu-west-1", engine.url, credentials=("test", "test"))
    table.create(dynamodb, name)
    dynamodb.close()
    client = DynamoClient(
        Pool(),
        region="eu-west-1",
        endpoint=engine.url,
        credentials=Fixed(Credentials("test", "test")),
        budget=10.0,
    )
    opened = DynamoStore(
        client,
        name,
        settle_now=request.param == "settled at once",
        leases=Leases() if request.param == "with leases" else None,
        skew=0.0,
        clock=clock,
    )
    yield opened
    await opened.close()


def test_init_makes_the_table_once_and_check_says_what_is_wrong(engine: Engine) -> None:
    dynamodb = table.connect("eu-west-1", engine.url, credentials=("test", "test"))
    assert table.problems(dynamodb, "fresh") == ["there is no table fresh: gateway store init makes it"]
    assert table.create(dynamodb, "fresh")
    assert not table.create(dynamodb, "fresh")
    assert table.problems(dynamodb, "fresh") == []
    dynamodb.create_table(
        TableName="foreign",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert any("another program's table" in problem for problem in table.problems(dynamodb, "foreign"))
    dynamodb.close()


async def test_what_botocore_reads_is_what_the_store_wrote(engine: Engine) -> None:
    """boto3 as the oracle: the same request through it, and the same item."""
    dynamodb = table.connect("eu-west-1", engine.url, credentials=("test", "test"))
    table.create(dynamodb, "oracle")
    store = open_store_at(engine, "oracle")
    await store.take("e", [requests(3)])
    await store.put("keys", "k", {"a": 1})
    item = dynamodb.get_item(TableName="oracle", Key={"pk": {"S": "b#e"}, "sk": {"S": "-"}})["Item"]
    assert set(item) == {"pk", "sk", "requests", "expires"}
    document = dynamodb.get_item(TableName="oracle", Key={"pk": {"S": "d#keys"}, "sk": {"S": "k"}})["Item"]
    assert (document["value"], document["version"]) == ({"S": '{"a":1}'}, {"N": "1"})
    dynamodb.update_item(
        TableName="oracle",
        Key={"pk": {"S": "b#e"}, "sk": {"S": "-"}},
        UpdateExpression="ADD requests :more",
        ExpressionAttributeValues={":more": {"N": "3000000"}},
    )
    assert (await store.take("e", [requests(1)])).remaining["requests"] == 0
    await store.close()
    dynamodb.close()


def open_store_at(engine: Engine, name: str) -> DynamoStore:
    fixed = Fixed(Credentials("test", "test"))
    client = DynamoClient(Pool(), region="eu-west-1", endpoint=engine.url, credentials=fixed, budget=10.0)
    return DynamoStore(client, name, skew=0.0)
