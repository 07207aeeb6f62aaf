"""What every store must do. A module that has a `store` fixture and a `clock` fixture imports these tests.

`clock` is a `Clock` that the store reads; it starts at NOON and moves only when told.
"""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import ConfigError
from gateway.llm.cache import KIND, PACKED
from gateway.metering.record import Record
from gateway.metering.usage import Usage
from gateway.stores import rows
from gateway.stores.protocols import Store, Take

NOON = 1_800_014_400.0  # 2027-01-15 12:00 UTC
MIDNIGHT = NOON - 43_200


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def requests(cost: float = 1, *, rate: float = 2.0, burst: float = 10) -> Take:
    return Take("requests", rate, burst, cost)


def dollars(cost: float, *, since: float = MIDNIGHT, burst: float = 5.0) -> Take:
    return Take("daily", 0.0, burst, cost, since=since)


def place(slot: str, *, burst: float = 2, hold: float = 60.0) -> Take:
    return Take("parallel", 0.0, burst, 1, slot=slot, hold=hold)


async def taken(store: Store, *takes: Take, entity: str = "user=ann") -> bool:
    return not (await store.take(entity, takes)).denied


async def test_a_burst_is_admitted_and_then_no_more(store: Store, clock: Clock) -> None:
    assert [await taken(store, requests()) for _ in range(12)] == [True] * 10 + [False] * 2


async def test_a_denial_names_the_limit_and_says_truthfully_when_to_come_back(
    store: Store, clock: Clock
) -> None:
    await store.take("user=ann", [requests(10)])
    denied = await store.take("user=ann", [requests(3)])
    assert denied.denied == "requests"
    assert denied.retry_after == pytest.approx(1.5, abs=1e-5)
    clock.now += denied.retry_after - 0.01
    assert not await taken(store, requests(3))
    clock.now += 0.02
    assert await taken(store, requests(3))


async def test_what_remains_is_told_with_each_answer(store: Store, clock: Clock) -> None:
    answer = await store.take("user=ann", [requests(4)])
    assert answer.remaining == {"requests": 6}


async def test_entities_do_not_share_a_bucket(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [requests(10)])
    assert await taken(store, requests(10), entity="user=bob")


async def test_of_several_limits_all_are_taken_or_none(store: Store, clock: Clock) -> None:
    tokens = Take("tokens", 100.0, 1000, 900)
    assert await taken(store, requests(4), tokens)
    refused = await store.take("user=ann", [requests(4), tokens])
    assert refused.denied == "tokens"
    assert (await store.take("user=ann", [requests(1)])).remaining == {"requests": 5}


async def test_a_limit_that_joins_later_starts_full(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [requests(10)])
    answer = await store.take("user=ann", [Take("tokens", 100.0, 1000, 900)])
    assert answer.remaining == {"tokens": 100}


async def test_a_cost_above_the_burst_needs_a_full_bucket_and_leaves_a_debt(
    store: Store, clock: Clock
) -> None:
    assert await taken(store, requests(30))
    clock.now += 10
    assert not await taken(store, requests(1))
    clock.now += 0.6
    assert await taken(store, requests(1))


async def test_a_settlement_gives_back_or_charges_more(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [requests(10)])
    await store.settle("user=ann", [requests(-6)])
    assert (await store.take("user=ann", [requests(1)])).remaining == {"requests": 5}
    await store.settle("user=ann", [requests(5)])
    assert not await taken(store, requests(1))


async def test_a_settlement_may_leave_a_debt(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [requests(1)])
    await store.settle("user=ann", [requests(29)])
    denied = await store.take("user=ann", [requests(1)])
    assert denied.retry_after == pytest.approx(10.5, abs=1e-4)


async def test_a_budget_counts_up_to_its_amount_and_never_refills_within_its_period(
    store: Store, clock: Clock
) -> None:
    assert await taken(store, dollars(3))
    clock.now += 3600
    assert not await taken(store, dollars(3))
    assert await taken(store, dollars(2))
    assert not await taken(store, dollars(0.000001))


async def test_a_budget_starts_anew_with_its_period(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [dollars(5)])
    clock.now += 86_400
    answer = await store.take("user=ann", [dollars(1, since=MIDNIGHT + 86_400)])
    assert answer.remaining == {"daily": 4}


async def test_a_cost_above_a_whole_budget_is_never_admitted(store: Store, clock: Clock) -> None:
    denied = await store.take("user=ann", [dollars(5.01)])
    assert (denied.denied, denied.retry_after) == ("daily", 0)


async def test_places_are_held_until_they_are_given_back(store: Store, clock: Clock) -> None:
    assert [await taken(store, place(slot)) for slot in "abc"] == [True, True, False]
    await store.settle("user=ann", [place("a")])
    assert await taken(store, place("c"))
    assert not await taken(store, place("d"))


async def test_a_place_whose_holder_died_is_free_again_after_a_while(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [place("a")])
    await store.take("user=ann", [place("b")])
    clock.now += 61
    assert await taken(store, place("c"))


async def test_the_last_token_goes_to_exactly_one_of_a_hundred(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [requests(9)])
    answers = await asyncio.gather(*(taken(store, requests()) for _ in range(100)))
    assert answers.count(True) == 1


async def test_the_last_cent_goes_to_exactly_one_of_a_hundred(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [dollars(4.99)])
    answers = await asyncio.gather(*(taken(store, dollars(0.01)) for _ in range(100)))
    assert answers.count(True) == 1


async def test_the_last_place_goes_to_exactly_one_of_a_hundred(store: Store, clock: Clock) -> None:
    await store.take("user=ann", [place("first")])
    answers = await asyncio.gather(*(taken(store, place(str(slot))) for slot in range(100)))
    assert answers.count(True) == 1


async def test_entities_in_use_can_be_listed(store: Store, clock: Clock) -> None:
    for name in ("user=ann", "user=bob", "session=1"):
        await store.take(name, [requests(), place("a")])
    found = dict(await store.buckets(prefix="user="))
    assert set(found) == {"user=ann", "user=bob"}
    assert found["user=ann"]["requests"] == int((NOON + 0.5) * 1_000_000)
    assert list(found["user=ann"]["parallel"]) == ["a"]


async def test_awkward_names_are_names(store: Store, clock: Clock) -> None:
    limit = Take('7 per "60s" #:é', 1.0, 1, 1)
    entity = "user=" + "ünï cödé\n|#" * 100
    assert [await taken(store, limit, entity=entity) for _ in range(2)] == [True, False]


async def test_a_document_is_what_was_put(store: Store) -> None:
    value = {"owner": "ann", "groups": ["a", "b"], "nested": {"n": 1.5, "none": None}}
    assert await store.get("keys", "k1") is None
    assert await store.put("keys", "k1", value)
    found = await store.get("keys", "k1")
    assert found is not None
    assert (found.value, found.version) == (value, 1)
    assert await store.get("pins", "k1") is None


async def test_a_document_is_replaced_only_if_the_expected_version_stands(store: Store) -> None:
    assert await store.put("keys", "k1", {"n": 1}, expect=0)
    assert not await store.put("keys", "k1", {"n": 2}, expect=0)
    assert await store.put("keys", "k1", {"n": 2}, expect=1)
    assert not await store.put("keys", "k1", {"n": 3}, expect=1)
    assert await store.put("keys", "k1", {"n": 4})
    found = await store.get("keys", "k1")
    assert found is not None
    assert (found.value, found.version) == ({"n": 4}, 3)


async def test_of_a_hundred_that_expect_one_version_one_succeeds(store: Store) -> None:
    answers = await asyncio.gather(*(store.put("pins", "p", {"n": n}, expect=0) for n in range(100)))
    assert answers.count(True) == 1


async def test_a_document_as_large_as_the_largest_kept_answer_comes_back(store: Store) -> None:
    body = "x" * (PACKED * 4 // 3 + 4)
    await store.put(KIND, "a" * 64, {"body": body}, expires=NOON + 10)
    found = await store.get(KIND, "a" * 64)
    assert found is not None
    assert found.value == {"body": body}


async def test_a_document_ends_when_it_expires(store: Store, clock: Clock) -> None:
    await store.put("kill", "user:ann", {"reason": "test"}, expires=NOON + 10)
    assert await store.get("kill", "user:ann") is not None
    clock.now += 11
    assert await store.get("kill", "user:ann") is None
    assert await store.list("kill") == []
    assert await store.put("kill", "user:ann", {"reason": "again"}, expect=0)


async def test_a_deleted_document_is_gone(store: Store) -> None:
    await store.put("keys", "k1", {})
    await store.delete("keys", "k1")
    await store.delete("keys", "never")
    assert await store.get("keys", "k1") is None


async def test_documents_are_listed_in_order_by_prefix_and_page(store: Store) -> None:
    for key in ("tool:b", "tool:a", "user:x", "tool:c"):
        await store.put("kill", key, {"key": key})
    assert [key for key, _ in await store.list("kill")] == ["tool:a", "tool:b", "tool:c", "user:x"]
    assert [key for key, _ in await store.list("kill", prefix="tool:", limit=2)] == ["tool:a", "tool:b"]
    page = await store.list("kill", prefix="tool:", after="tool:a")
    assert [(key, item.value) for key, item in page] == [
        ("tool:b", {"key": "tool:b"}),
        ("tool:c", {"key": "tool:c"}),
    ]


def record(number: int, **changes: object) -> Record:
    row = Record(f"rec_{number}", f"req_{number}", NOON + number, "llm", "messages", "/", "ok", status=200)
    for name, value in changes.items():
        setattr(row, name, value)
    return row


FULL = record(
    7,
    user="ann",
    groups=("eng", "ops"),
    model="claude-x",
    upstream_model="gemini-y",
    usage=Usage(10, 20, 30, 40, 50, 5, estimated=True),
    usd=0.25,
    priced=False,
    labels={"team": "red"},
    duration_ms=12.5,
)


async def test_a_record_comes_back_as_it_was(store: Store) -> None:
    await store.append([FULL])
    assert await store.records() == [FULL]


async def test_a_record_counts_once_however_often_it_is_appended(store: Store) -> None:
    await store.append([FULL, record(8)])
    await store.append([FULL])
    await store.append([record(8), FULL, FULL])
    assert [row.id for row in await store.records()] == ["rec_8", "rec_7"]
    (total,) = await store.usage(since=0, until=NOON + 100)
    assert (total.calls, total.usd, total.input, total.cache_write) == (2, 0.25, 10, 90)


async def test_records_come_newest_first_in_pages(store: Store) -> None:
    from gateway.stores.rows import position

    await store.append([record(n) for n in range(25)])
    seen: list[str] = []
    before = ""
    while page := await store.records(before=before, limit=10):
        seen += [row.id for row in page]
        before = position(page[-1])
    assert seen == [f"rec_{n}" for n in reversed(range(25))]


async def test_records_are_filtered_by_time_and_value(store: Store) -> None:
    await store.append(
        [record(n, user="ann" if n % 2 else "bob", labels={"team": str(n % 3)}) for n in range(10)]
    )
    found = await store.records(since=NOON + 2, until=NOON + 8, where={"user": "ann", "label.team": "2"})
    assert [row.id for row in found] == ["rec_5"]


async def test_usage_adds_up_by_group_the_dearest_first(store: Store) -> None:
    await store.append(
        [
            record(1, user="ann", model="a", usage=Usage(10, 1, 2, 3, 4, 1), usd=0.5),
            record(2, user="ann", model="b", usage=Usage(20, 2), usd=0.25),
            record(3, user="bob", model="a", usage=Usage(5, 5, estimated=True), usd=2.0, priced=False),
            record(4, user="bob", outcome="refused"),
            record(5, user="bob", outcome="timeout"),
            record(6, user="bob", at=NOON + 86_400, usd=9.0),
        ]
    )
    bob, ann = await store.usage(since=NOON, until=NOON + 100, by=["user"])
    assert (bob.group, bob.calls, bob.refused, bob.failed, bob.usd, bob.estimated, bob.unpriced) == (
        ("bob",), 3, 1, 1, 2.0, 1, 1)  # fmt: skip
    assert (ann.group, ann.input, ann.output, ann.cache_read, ann.cache_write, ann.reasoning, ann.tokens) == (
        ("ann",), 30, 3, 2, 7, 1, 42)  # fmt: skip
    days = await store.usage(since=0, until=NOON * 2, by=["day", "user"], where={"user": "bob"})
    assert [row.group for row in days] == [("2027-01-16", "bob"), ("2027-01-15", "bob")]
    assert await store.usage(since=0, until=1, by=["user"]) == []


async def test_usage_groups_by_a_label(store: Store) -> None:
    await store.append([record(1, labels={"team": "red"}, usd=1.0), record(2)])
    assert [row.group for row in await store.usage(since=0, until=NOON * 2, by=["label.team"])] == [
        ("red",),
        ("",),
    ]


async def test_usage_groups_by_team_which_is_all_groups_of_the_caller(store: Store) -> None:
    both, one = ("platform", "on call"), ("platform",)
    await store.append(
        [record(1, groups=both, usd=3.0), record(2, groups=one), record(3, groups=one), record(4)]
    )
    teams = await store.usage(since=0, until=NOON * 2, by=["team"])
    assert {total.group[0]: total.calls for total in teams} == {"platform, on call": 1, "platform": 2, "": 1}
    (alone,) = await store.usage(since=0, until=NOON * 2, where={"team": "platform"})
    assert alone.calls == 2


async def test_usage_groups_by_what_policies_said(store: Store) -> None:
    said = ("guard mask secrets", "authz would_refuse deny: mcp.tool.name == 'x', or not")
    await store.append(
        [record(1, findings=said), record(2, findings=said[:1]), record(3, findings=said), record(4)]
    )
    found = await store.usage(since=0, until=NOON * 2, by=["findings"])
    assert {total.group[0]: total.calls for total in found} == {"\n".join(said): 2, said[0]: 1, "": 1}
    (alone,) = await store.records(where={"findings": said[0]})
    assert alone.id == "rec_2"


async def test_an_unknown_group_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match="cannot group or filter"):
        await store.usage(since=0, until=1, by=["user; DROP TABLE records"])


async def test_a_month_adds_up_to_the_same_however_its_days_were_asked_for_before(store: Store) -> None:
    """Also where a record comes late, for a day that somebody had asked for."""
    day = 86_400
    said = [
        ("user", ["ann", "bob"]),
        ("model", ["a", "b"]),
        ("session", ["s1", "s2"]),
        ("outcome", ["ok", "refused"]),
    ]
    made = [
        record(n, at=NOON - 40 * day + n * day / 3, usd=1.0, groups=("team",) if n % 2 else (), labels={"x": str(n % 3)},
               findings=("guard mask pii",) if n % 5 == 0 else (), **{name: values[n % 2] for name, values in said})
        for n in range(90)
    ]  # fmt: skip
    since, until = NOON - 35.5 * day, NOON - 12.25 * day
    questions = [[], ["user"], ["model", "day"], ["team"], ["label.x", "user"], ["findings", "outcome"], ["session"],
                 ["user", "model"]]  # fmt: skip
    for known in (made[:60], made):
        await store.append(known)
        for by in questions:
            for where in ({}, {"user": "ann"}, {"label.x": "1"}, {"team": "team"}):
                expected = rows.Totals(by)
                for each in known:
                    if since <= each.at < until and rows.matches(each, where):
                        expected.add(each)
                assert await store.usage(since=since, until=until, by=by, where=where) == expected.result()
