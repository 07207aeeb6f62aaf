"""Spend limits set while the gateway runs: the API's shapes, and that they are enforced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.admin.app import AdminApp
from gateway.call import Call, Operation, Principal
from gateway.errors import BadRequest, StoreError
from gateway.limits.spend import SpendLimits
from gateway.limits.spend_api import PREFIX, SpendLimitsApi, answer
from gateway.limits.standing import standings
from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.stores.memory import MemoryStore
from gateway.telemetry.recent import Recent
from tests.driver import Driver
from tests.limits.test_middleware import answering, around, ask, limiter
from tests.stores.contract import NOON, Clock

USER = {"type": "user", "user_id": "ann"}
GROUP = {"type": "rbac_group", "rbac_group_id": "contractors"}
EVERYBODY = {"type": "organization"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


@pytest.fixture
def api(store: MemoryStore, clock: Clock) -> SpendLimitsApi:
    return SpendLimitsApi(store, clock=clock)


async def test_a_limit_is_made_replaced_read_and_deleted(api: SpendLimitsApi, clock: Clock) -> None:
    made = await api.set({"scope": USER, "amount": "50000", "period": "monthly"})
    assert made == {
        "type": "spend_limit", "id": made["id"], "amount": "50000", "currency": "USD", "period": "monthly", "scope": USER,
        "is_enabled": True, "created_at": "2027-01-15T12:00:00Z", "updated_at": "2027-01-15T12:00:00Z",
    }  # fmt: skip
    assert made["id"].startswith("spl_")
    clock.now += 60
    changed = await api.set({"scope": USER, "amount": None, "period": "monthly"})
    assert (changed["id"], changed["amount"]) == (made["id"], None)
    assert changed["created_at"] < changed["updated_at"]
    assert await api.got(made["id"]) == changed
    assert await api.deleted(made["id"]) == {"type": "spend_limit_deleted", "id": made["id"]}
    with pytest.raises(BadRequest) as missing:
        await api.got(made["id"])
    assert missing.value.status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"scope": USER, "amount": "5.00"},
        {"scope": USER, "amount": 500},
        {"scope": USER, "amount": "-1"},
        {"scope": USER, "amount": "9" * 5000},
        {"scope": USER, "amount": "1", "period": "yearly"},
        {"scope": {"type": "user"}, "amount": "1"},
        {"scope": {"type": "planet"}, "amount": "1"},
        {"amount": "1"},
    ],
)
async def test_what_is_no_limit_is_refused(api: SpendLimitsApi, body: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        await api.set(body)


async def test_lists_come_by_scope_and_page(api: SpendLimitsApi) -> None:
    for number in range(3):
        await api.set({"scope": {"type": "user", "user_id": f"u{number}"}, "amount": "1"})
    await api.set({"scope": EVERYBODY, "amount": "9"})
    first = await api.listed(limit=2)
    assert [row["scope"]["type"] for row in first["data"]] == ["organization", "user"]
    second = await api.listed(limit=2, page=first["next_page"])
    assert (len(second["data"]), second["next_page"]) == (2, None)
    assert len((await api.listed(scope_type=["user"]))["data"]) == 3


async def test_the_nearest_limit_counts_and_its_source_is_told(
    api: SpendLimitsApi, store: MemoryStore
) -> None:
    await api.set({"scope": EVERYBODY, "amount": "100000", "period": "monthly"})
    await api.set({"scope": GROUP, "amount": "10000", "period": "monthly"})
    await api.set({"scope": USER, "amount": None, "period": "monthly"})
    usage = Usage(input=1)
    for user, usd in (("ann", 3.5), ("bob", 1.25), ("eve", 0.5)):
        await store.append(
            [Record(user, "c", NOON, "llm", "messages", "/", "ok", user=user, usage=usage, usd=usd)]
        )
    answer = await api.effective(groups={"bob": ["contractors"]}, sort="spend_desc")
    rows = [
        (r["actor"]["user_id"], r["amount"], r["period_to_date_spend"], r["source"]["type"])
        for r in answer["data"]
    ]
    assert rows == [
        ("ann", None, "350", "user"),
        ("bob", "10000", "125", "rbac_group"),
        ("eve", "100000", "50", "organization"),
    ]


async def test_a_tool_call_asks_the_store_for_no_spend_limits(clock: Clock) -> None:
    class Asked(MemoryStore):
        times = 0

        async def list(self, *given: Any, **words: Any) -> Any:
            self.times += 1
            return await super().list(*given, **words)

    store = Asked(clock=clock)
    policy = limiter(clock, store=store, spend=SpendLimits(store, clock=clock))
    call = Call.new({"path": "/mcp", "headers": []})
    await policy.reserve(call, Operation("mcp", "tools/call", subject="tool", name="add"))
    assert store.times == 0
    await policy.reserve(call, Operation("llm", "messages", model="m"))
    assert store.times == 1


async def test_all_who_come_before_the_limits_were_read_wait_for_them(clock: Clock) -> None:
    class Slow(MemoryStore):
        asked, answers = 0, asyncio.Event()

        async def list(self, *given: Any, **words: Any) -> Any:
            self.asked += 1
            await self.answers.wait()
            return await super().list(*given, **words)

    store = Slow(clock=clock)
    await SpendLimitsApi(store, clock=clock).set({"scope": USER, "amount": "0", "period": "daily"})
    policy = limiter(clock, store=store, spend=SpendLimits(store, clock=clock))
    driver = around(answering(), policy, who=Principal("key:1", "key", name="ann"))
    leaving, *calls = [asyncio.create_task(ask(driver)) for _ in range(4)]
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    store.answers.set()
    assert [reply.status for reply in await asyncio.gather(*calls)] == [429, 429, 429]
    assert store.asked == 1


async def test_that_the_limits_cannot_be_read_is_logged(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(MemoryStore):
        async def list(self, *given: Any, **words: Any) -> Any:
            raise StoreError("away")

    await SpendLimits(Away(clock=clock), clock=clock).fresh()
    assert "the spend limits cannot be read: away" in caplog.text


async def test_a_limit_is_enforced_and_known_within_seconds(
    api: SpendLimitsApi, store: MemoryStore, clock: Clock
) -> None:
    spend = SpendLimits(store, clock=clock)
    policy = limiter(clock, store=store, spend=spend)

    async def later() -> None:
        clock.now += 5
        await spend.fresh()
        await asyncio.sleep(0)

    ann = Principal("key:1", "key", name="ann", groups=("contractors",))
    driver = around(answering(Usage(input=590)), policy, who=ann)
    assert (await ask(driver)).status == 200
    await api.set({"scope": GROUP, "amount": "60", "period": "daily"})
    await later()
    assert (await ask(driver)).status == 200
    reply = await ask(driver)
    assert (reply.status, reply.json["error"]["type"]) == (429, "billing_error")
    assert "spend limit reached (daily; resets 2027-01-16 00:00 UTC)" in reply.json["error"]["message"]
    await api.set({"scope": USER, "amount": "500", "period": "daily"})
    await later()
    assert (await ask(driver)).status == 200


async def test_requests_find_their_way_by_verb_and_path(api: SpendLimitsApi) -> None:
    made = await answer(
        api, "POST", PREFIX, query={}, body={"scope": EVERYBODY, "amount": "700", "period": "weekly"}
    )
    for path, query in (
        (PREFIX, {"limit": ["5"]}),
        (f"{PREFIX}/effective", {"user_ids[]": ["ann"], "period[]": ["weekly"]}),
    ):
        (row,) = (await answer(api, "GET", path, query=query, body={}))["data"]
        assert row["amount"] == "700"
    assert await answer(api, "GET", f"{PREFIX}/{made['id']}", query={}, body={}) == made
    assert (await answer(api, "DELETE", f"{PREFIX}/{made['id']}", query={}, body={}))[
        "type"
    ] == "spend_limit_deleted"
    for verb, path, query in (
        ("PUT", PREFIX, {}),
        ("GET", PREFIX, {"limit": ["many"]}),
        ("GET", f"{PREFIX}/none", {}),
    ):
        with pytest.raises(BadRequest):
            await answer(api, verb, path, query=query, body={})


async def test_the_admin_port_serves_it_to_whoever_has_the_credential(store: MemoryStore) -> None:
    driver = Driver(AdminApp(store, recent=Recent(), token="an-admin-credential"), client="203.0.113.7")
    key = {"x-api-key": "an-admin-credential", "content-type": "application/json"}
    body = {"scope": USER, "amount": "100", "period": "daily"}
    assert (await driver.post(PREFIX, body, headers={"content-type": "application/json"})).status == 401
    assert (await driver.get(PREFIX)).status == 401
    made = await driver.post(PREFIX, body, headers=key)
    assert (made.status, made.json["amount"]) == (200, "100")
    listed = await driver.get(f"{PREFIX}?scope_type[]=user&limit=1", headers=key)
    assert [row["id"] for row in listed.json["data"]] == [made.json["id"]]
    assert (await driver.post(PREFIX, {"amount": "1"}, headers=key)).status == 400
    assert (await driver.request("DELETE", f"{PREFIX}/{made.json['id']}", headers=key)).status == 200
    assert (await driver.get(f"{PREFIX}/{made.json['id']}", headers=key)).status == 404


async def test_a_limit_of_nothing_refuses_what_costs_and_is_shown_as_used_up(
    api: SpendLimitsApi, store: MemoryStore, clock: Clock
) -> None:
    spend = SpendLimits(store, clock=clock)
    policy = limiter(clock, store=store, spend=spend)
    driver = around(answering(Usage(input=10)), policy, who=Principal("key:1", "key", name="ann"))
    await api.set({"scope": USER, "amount": "100", "period": "daily"})
    assert (await ask(driver)).status == 200
    await api.set({"scope": USER, "amount": "0", "period": "daily"})
    clock.now += 5
    await spend.fresh()
    await asyncio.sleep(0)
    assert (await ask(driver)).status == 429
    assert (await ask(driver, model="free")).status == 429  # no price: the ceiling's
    (row,) = await standings(store, policy.rules, now=clock.now)
    assert row["used"] >= row["of"] > 0
