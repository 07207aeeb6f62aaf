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
from tests.stores.contract import Clock

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
