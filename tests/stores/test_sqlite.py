from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.stores.protocols import Store
from gateway.stores.sqlite import SqliteStore
from tests.stores.contract import *  # noqa: F403
from tests.stores.contract import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(clock: Clock, tmp_path: Path) -> AsyncIterator[Store]:
    opened = SqliteStore(str(tmp_path / "gateway.db"), clock=clock)
    yield opened
    await opened.close()
