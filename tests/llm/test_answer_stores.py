"""The store of kept answers: one that fails, hangs, is slow, full or begun again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StoreError
from gateway.llm.app import LLMApp
from gateway.llm.cache import KIND
from gateway.stores.bounded import BESIDE, BoundedDocuments
from gateway.stores.memory import MemoryStore
from gateway.stores.protocols import Item
from gateway.stores.sqlite import SqliteStore
from tests.llm.caches import Asker, Clock, shared
from tests.llm.gateways import ANTHROPIC, MESSAGE, OK, REQUEST, gateway, provider
from tests.llm.scripted import Scripted, driver, whole


class Failing:
    """A store that is not there, or never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.hangs = hangs
        self.asked = 0

    async def get(self, kind: str, key: str) -> Item | None:
        await self._fail()
        return None

    async def put(
        self, kind: str, key: str, value: Mapping[str, Any], *, expires: float | None = None
    ) -> bool:
        await self._fail()
        return True

    async def _fail(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        raise StoreError("gone")


@pytest.mark.parametrize("hangs", [False, True], ids=["fails", "hangs"])
async def test_a_store_that_fails_or_hangs_fails_no_request(
    hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = Failing(hangs=hangs)
    cache = shared(store=store, patience=0.01)
    with caplog.at_level(logging.WARNING, "gateway"):
        async with gateway(OK, cache=cache) as gw:
            ask = Asker(gw, cache)
            for _ in range(2):
                reply, said = await ask()
                assert (reply.status, said, reply.body) == (200, "miss", MESSAGE)
    assert cache.counters["get"] + cache.counters["put"] >= 3
    assert "the cache of answers goes without its store" in caplog.text


async def test_a_store_that_fails_is_not_asked_with_every_request() -> None:
    store = Failing()
    cache = shared(store=store, at_once=True)
    async with gateway(OK, cache=cache) as gw:
        for _ in range(10):
            await Asker(gw, cache)()
    assert store.asked < 10


@pytest.mark.parametrize(
    "value", [{}, {"at": 0}, {"at": 2e12, "media": "", "model": "", "usage": {}, "body": "AAAA"}]
)
async def test_a_document_that_cannot_be_read_is_a_miss(value: dict[str, Any]) -> None:
    store = MemoryStore()
    cache = shared(store=store)
    async with gateway(OK, cache=cache) as gw:
        ask = Asker(gw, cache)
        await ask()
        ((key, _),) = await store.list(KIND)
        await store.put(KIND, key, value)
        reply, said = await ask()
        assert (reply.body, said, cache.counters["get"]) == (MESSAGE, "miss", 1)
        assert (await ask())[1] == "hit"


async def test_keys_and_what_names_them_say_nothing_of_question_or_asker() -> None:
    store = MemoryStore()
    cache = shared(store=store)
    async with gateway(OK, cache=cache) as gw:
        await Asker(gw, cache)()
    ((key, item),) = await store.list(KIND)
    assert len(key) == 64
    assert set(item.value) == {"at", "media", "model", "usage", "body"}


async def test_the_answer_does_not_wait_for_its_keeping() -> None:
    going_on = asyncio.Event()

    class Slow(MemoryStore):
        async def put(self, *args: Any, **options: Any) -> bool:
            await going_on.wait()
            return await super().put(*args, **options)

    store = Slow()
    cache = shared(store=store, patience=30)
    async with gateway(OK, cache=cache) as gw:
        await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert await store.list(KIND) == []
        going_on.set()
        await cache.close()
        assert len(await store.list(KIND)) == 1


async def test_where_the_process_is_frozen_it_is_kept_before_the_request_ends() -> None:
    store = MemoryStore()
    async with gateway(OK, cache=shared(store=store, at_once=True)) as gw:
        await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        assert len(await store.list(KIND)) == 1


async def test_a_file_of_sqlite_answers_after_a_restart_and_forgets_what_is_past(tmp_path: Path) -> None:
    clock, found = Clock(), []
    for seconds in (0, 30, 3600):
        clock.now += seconds
        store = SqliteStore(str(tmp_path / "gateway.db"), clock=clock)
        cache = shared(store=store, clock=clock)
        client = Scripted([whole(MESSAGE)])
        app = LLMApp(providers={"one": provider("one", "http://p.invalid")}, client=client, cache=cache)
        reply = await driver(app).post("/v1/messages", REQUEST, headers=ANTHROPIC)
        await cache.close()
        found.append(reply.headers["x-gateway-cache"])
        await store.close()
    assert found == ["miss", "hit", "miss"]


async def test_in_this_process_the_first_leave_when_it_is_full() -> None:
    clock = Clock()
    size = len(b'{"n":1}') + BESIDE
    documents = BoundedDocuments(most=2 * size, clock=clock)
    for n in (1, 2, 1, 3):
        await documents.put("answer", str(n), {"n": n}, expires=clock.now + 10)
    found = [await documents.get("answer", str(n)) for n in (1, 2, 3)]
    assert [each and each.value for each in found] == [{"n": 1}, None, {"n": 3}]
    clock.now += 10
    assert await documents.get("answer", "3") is None
