"""The rate limit middleware alone, around an app written here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from gateway.call import Call, Operation, Principal
from gateway.errors import ConfigError, Refused, StoreError
from gateway.limits.breaker import Breaker
from gateway.limits.bucket import Take, Taken
from gateway.limits.policy import RateLimiter
from gateway.limits.rules import Budget, Limit
from gateway.limits.standing import standings
from gateway.metering.prices import Prices
from gateway.metering.usage import Usage
from gateway.middleware.expressions import callable_of
from gateway.middleware.ratelimit import RateLimitMiddleware
from gateway.stores.memory import MemoryStore
from gateway.types import App, Receive, Scope, Send
from tests.driver import Driver, Reply
from tests.stores.contract import NOON, Clock

PRICES = Prices({"m*": {"input": 1000.0, "output": 1000.0}})  # a tenth of a cent for each token


def answering(
    usage: Usage | None = None, *, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()
) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        Call.of(scope).usage = usage
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def limiter(clock: Clock, **options: object) -> RateLimiter:
    store = options.pop("store", None) or MemoryStore(clock=clock)
    return RateLimiter(store, prices=PRICES, clock=clock, compile=callable_of, **options)  # type: ignore[arg-type]


def around(app: App, policy: RateLimiter, *, who: Principal | str = "key:ann") -> Driver:
    return Driver(RateLimitMiddleware(app, limiter=policy, principal=lambda scope: who))


async def ask(driver: Driver, **body: object) -> Reply:
    return await driver.post("/v1/messages", {"model": "m1", "max_tokens": 10, "messages": [], **body})


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_too_many_requests_are_refused_in_the_callers_dialect_naming_the_limit(clock: Clock) -> None:
    driver = around(
        answering(), limiter(clock, limits=[Limit(requests=2, per=60, key="principal.id", name="per key")])
    )
    assert [(await ask(driver)).status for _ in range(3)] == [200, 200, 429]
    reply = await ask(driver)
    assert reply.json["error"]["type"] == "rate_limit_error"
    assert "per key" in reply.json["error"]["message"]
    assert reply.headers["retry-after"] == "30"
    clock.now += 30
    assert (await ask(driver)).status == 200


async def test_the_first_seeds_bucket_holds_ten_thousand_tokens_and_gains_a_thousand_a_minute(
    clock: Clock,
) -> None:
    used = Usage(input=2000, output=500)
    policy = limiter(clock, limits=[Limit(tokens=1000, per=60, burst=10_000, key="principal.id")])
    driver = around(answering(used), policy)
    assert [(await ask(driver)).status for _ in range(5)] == [200, 200, 200, 200, 429]
    clock.now += 0.3  # five tokens; the smallest call reserves more
    assert (await ask(driver)).status == 429
    clock.now += 3
    assert (await ask(driver)).status == 200


async def test_a_budget_is_refused_as_the_client_contract_says(clock: Clock) -> None:
    policy = limiter(clock, budgets=[Budget(usd=1, per="day", key="principal.id", name="daily")])
    driver = around(answering(Usage(input=990)), policy)
    assert (await ask(driver)).status == 200
    reply = await ask(driver)
    assert (reply.status, reply.json["error"]["type"]) == (429, "billing_error")
    assert reply.headers["x-should-retry"] == "false"
    assert int(reply.headers["retry-after"]) == 43_200
    assert "resets 2027-01-16 00:00 UTC" in reply.json["error"]["message"]
    own = {
        name[28:]: value
        for name, value in reply.headers.items()
        if name.startswith("anthropic-ratelimit-unified-")
    }
    reset = str(int(NOON) + 43_200)
    assert own == {"status": "rejected", "reset": reset, "overage-reset": reset, "overage-utilization": "1",
                   "overage-surpassed-threshold": "1", "overage-period": "daily",
                   "overage-disabled-reason": "org_spend_cap_reached"}  # fmt: skip
    clock.now += 43_200
    assert (await ask(driver)).status == 200


async def test_of_two_budgets_that_are_spent_the_one_that_resets_last_is_named(clock: Clock) -> None:
    policy = limiter(
        clock,
        budgets=[
            Budget(usd=1, per="day", key="principal.id", name="daily"),
            Budget(usd=1, per="month", key="principal.id", name="monthly"),
            Budget(usd=9, per="week", key="principal.id", name="weekly"),
        ],
    )
    driver = around(answering(Usage(input=990)), policy)
    assert (await ask(driver)).status == 200
    assert "monthly; resets 2027-02-01 00:00 UTC" in (await ask(driver)).json["error"]["message"]


async def test_a_budget_that_a_group_shares_says_so(clock: Clock) -> None:
    policy = limiter(clock, budgets=[Budget(usd=0.001, per="month", key="principal.groups")])
    reply = await ask(around(answering(), policy, who=Principal("key:1", "key", groups=("red",))))
    assert reply.headers["anthropic-ratelimit-unified-overage-scope"] == "group_pool"


async def test_what_was_reserved_and_not_used_is_given_back(clock: Clock) -> None:
    policy = limiter(clock, budgets=[Budget(usd=5, per="day", key="principal.id")])
    driver = around(answering(Usage(input=10, output=5)), policy)
    for _ in range(100):
        assert (await ask(driver, max_tokens=4000)).status == 200


async def test_a_call_that_failed_costs_nothing(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(tokens=100, per=3600, key="principal.id")])
    driver = around(answering(status=500), policy)
    assert [(await ask(driver)).status for _ in range(5)] == [500] * 5


async def test_every_member_of_a_list_is_charged(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(requests=2, per=60, key="jwt.groups")])
    ann = Principal("jwt:ann", "jwt", claims={"groups": ["red", "blue"]})
    bob = Principal("jwt:bob", "jwt", claims={"groups": ["blue", "green"]})
    eve = Principal("jwt:eve", "jwt", claims={"groups": ["green"]})
    app = answering()
    assert [(await ask(around(app, policy, who=ann))).status for _ in range(2)] == [200, 200]
    assert (await ask(around(app, policy, who=bob))).status == 429
    assert [(await ask(around(app, policy, who=eve))).status for _ in range(3)] == [200, 200, 429]


async def test_a_missing_key_is_one_shared_bucket(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(requests=1, per=60, key='request.headers["x-team"]')])
    driver = around(answering(), policy)
    assert [(await ask(driver)).status for _ in range(2)] == [200, 429]
    reply = await driver.post("/v1/messages", {"model": "m1"}, headers={"x-team": "red"})
    assert reply.status == 200


async def test_a_condition_chooses_and_one_that_fails_does_not_switch_the_limit_off(clock: Clock) -> None:
    policy = limiter(
        clock,
        limits=[
            Limit(requests=1, per=60, when='llm.model.startsWith("m2")', name="m2"),
            Limit(requests=3, per=60, when="jwt.level > 3", name="broken"),
        ],
    )
    driver = around(answering(), policy)
    statuses = [(await ask(driver, model=model)).status for model in ("m1", "m2", "m2", "m1", "m1")]
    assert statuses == [200, 200, 429, 200, 429]


async def test_counting_tokens_and_listing_models_counts_only_where_a_condition_names_it(
    clock: Clock,
) -> None:
    policy = limiter(
        clock,
        limits=[
            Limit(requests=1, per=60, name="plain"),
            Limit(requests=2, per=60, when='llm.operation == "count_tokens"', name="counting"),
        ],
    )
    driver = around(answering(), policy)
    counted = [(await driver.post("/v1/messages/count_tokens", {"model": "m1"})).status for _ in range(3)]
    assert counted == [200, 200, 429]
    assert [(await driver.get("/v1/models")).status for _ in range(5)] == [200] * 5
    assert [(await ask(driver)).status for _ in range(2)] == [200, 429]


async def test_calls_at_once_are_limited_and_a_place_is_free_when_its_call_ends(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(concurrency=1, key="principal.id")])
    inner: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inner.append((await ask(around(answering(), policy))).status)
        await answering()(scope, receive, send)

    driver = around(app, policy)
    assert (await ask(driver)).status == 200
    assert (await ask(driver)).status == 200
    assert inner == [429, 429]


async def test_a_later_denial_gives_back_what_earlier_limits_took(clock: Clock) -> None:
    policy = limiter(
        clock,
        limits=[Limit(requests=5, per=3600, key="principal.id"), Limit(requests=1, per=60, name="everybody")],
    )
    driver = around(answering(), policy)
    assert [(await ask(driver)).status for _ in range(4)] == [200, 429, 429, 429]
    clock.now += 60
    reply = await ask(driver)
    assert reply.headers["anthropic-ratelimit-requests-remaining"] == "0"
    entity = dict(await policy._store.buckets())["principal.id=key:ann"]  # type: ignore[attr-defined]
    assert sum(entity.values()) == int((NOON + 2 * 720) * 1e6)


async def test_a_virtual_key_may_carry_limits_of_its_own(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(requests=3, per=60, key="principal.id")])
    own = [{"requests": 1, "per": 60}, {"usd": 5, "per": "month"}]
    narrow = Principal("key:a", "key", key={"id": "a", "limits": own})
    wide = Principal("key:b", "key", key={"id": "b", "limits": []})
    app = answering()
    statuses = [(await ask(around(app, policy, who=narrow))).status for _ in range(2)]
    assert statuses == [200, 429]
    reply = await ask(around(app, policy, who=narrow))
    assert "the key's own 1 requests per 60s" in reply.json["error"]["message"]
    assert [(await ask(around(app, policy, who=wide))).status for _ in range(4)] == [200, 200, 200, 429]


async def test_what_a_known_caller_takes_still_depends_on_what_they_ask(clock: Clock) -> None:
    ann, app = Principal("key:ann", "key"), answering()
    both = [Limit(requests=3, key="principal.id"), Limit(requests=1, key="llm.model", name="by model")]
    driver = around(app, limiter(clock, limits=both), who=ann)
    assert [(await ask(driver, model=m)).status for m in ("m1", "m1", "m2", "m3", "m4")] == [200, 429, 200, 200, 429]  # fmt: skip
    policy = limiter(clock, limits=[Limit(requests=2, key="principal.id")])
    driver = around(app, policy, who=ann)
    assert (await ask(driver)).status == 200
    assert (await driver.post("/v1/messages/count_tokens", {"model": "m1"})).status == 200
    assert [(await ask(driver)).status for _ in range(2)] == [200, 429]
    narrow = Principal("key:ann", "key", key={"id": "ann", "limits": [{"usd": 0.001, "per": "day"}]})
    clock.now += 60
    reply = await ask(around(app, policy, who=narrow))
    assert "the key's own $0.001 per day" in reply.json["error"]["message"]
    assert (await ask(driver)).status == 200


async def test_embeddings_reserve_no_answer(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(tokens=100, per=3600)])
    driver = around(answering(Usage(input=20)), policy)
    assert (await driver.post("/v1/embeddings", {"model": "m1", "input": "a few words"})).status == 200


async def test_a_name_that_the_store_has_for_itself_is_refused(clock: Clock) -> None:
    with pytest.raises(ConfigError, match="expires"):
        limiter(clock, limits=[Limit(requests=1, per=60, name="expires")])


async def test_observing_refuses_nothing_and_says_what_it_would_have_done(clock: Clock) -> None:
    seen: list[Call] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(Call.of(scope))
        await answering()(scope, receive, send)

    policy = limiter(clock, limits=[Limit(requests=1, per=60, name="one")], enforce=False)
    driver = around(app, policy)
    assert [(await ask(driver)).status for _ in range(2)] == [200, 200]
    assert [verdict.action for call in seen for verdict in call.verdicts] == ["would_refuse"]


UPSTREAM = [(b"anthropic-ratelimit-unified-5h-utilization", b"0.9"), (b"x-kept", b"1")]


async def test_a_successful_answer_tells_the_callers_own_spend_instead_of_the_upstreams(clock: Clock) -> None:
    policy = limiter(clock, budgets=[Budget(usd=10, per="day", key="principal.id")])
    driver = around(answering(Usage(input=7800), headers=UPSTREAM), policy)
    first = (await ask(driver)).headers
    assert "anthropic-ratelimit-unified-5h-utilization" not in first
    assert first["x-kept"] == "1"
    assert first["anthropic-ratelimit-unified-status"] == "allowed"
    assert "anthropic-ratelimit-unified-overage-surpassed-threshold" not in first
    second = (await ask(driver)).headers
    assert second["anthropic-ratelimit-unified-status"] == "allowed_warning"
    assert second["anthropic-ratelimit-unified-overage-surpassed-threshold"] == "0.75"
    assert float(second["anthropic-ratelimit-unified-overage-utilization"]) == pytest.approx(0.78, abs=0.02)
    assert int(second["anthropic-ratelimit-unified-reset"]) == NOON + 43_200
    assert policy.counters[f"warned:{policy.rules[0].name}"] == 1


async def test_without_figures_of_its_own_the_upstreams_stay(clock: Clock) -> None:
    reply = await ask(around(answering(headers=UPSTREAM), limiter(clock)))
    assert reply.headers["anthropic-ratelimit-unified-5h-utilization"] == "0.9"


async def test_openai_clients_read_their_own_headers(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(requests=60, per=60), Limit(tokens=1000, per=60)])
    driver = around(answering(Usage(output=1)), policy)
    reply = await driver.post("/v1/chat/completions", {"model": "m1", "max_tokens": 10, "messages": []})
    assert reply.headers["x-ratelimit-limit-requests"] == "60"
    assert reply.headers["x-ratelimit-remaining-requests"] == "59"
    assert reply.headers["x-ratelimit-reset-requests"] == "1.000s"
    assert int(reply.headers["x-ratelimit-remaining-tokens"]) > 900


def sse(*events: dict[str, object]) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for event in events:
            data = b"data: " + json.dumps(event).encode() + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_alone_it_reads_the_usage_from_the_stream(clock: Clock) -> None:
    events = (
        {"type": "message_start", "message": {"usage": {"input_tokens": 500, "output_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "message_delta", "usage": {"output_tokens": 400}},
    )
    policy = limiter(clock, limits=[Limit(tokens=1000, per=3600)])
    assert (await ask(around(sse(*events), policy))).status == 200
    (entity,) = [state for _, state in await policy._store.buckets()]  # type: ignore[attr-defined]
    (tat,) = entity.values()
    assert (tat / 1e6 - NOON) / 3.6 == pytest.approx(900)


class Broken:
    """A store that does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    async def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        self.asked += 1
        raise StoreError("gone")

    async def settle(self, entity: str, takes: Sequence[Take]) -> None:
        raise StoreError("gone")


async def test_without_a_store_requests_fall_back_to_this_instances_share(clock: Clock) -> None:
    store = Broken()
    policy = limiter(clock, store=store, limits=[Limit(requests=8, per=60, key="principal.id")], instances=4)
    driver = around(answering(), policy)
    assert [(await ask(driver)).status for _ in range(3)] == [200, 200, 429]
    assert policy.counters["failed_open"] == 3
    assert store.asked == 3


async def test_a_store_that_keeps_failing_is_left_alone(clock: Clock) -> None:
    store = Broken()
    driver = around(answering(), limiter(clock, store=store, limits=[Limit(requests=100, per=60)]))
    for _ in range(20):
        await ask(driver)
    assert store.asked == 3


async def test_without_a_store_money_is_closed(clock: Clock) -> None:
    policy = limiter(clock, store=Broken(), budgets=[Budget(usd=5, per="day", name="daily")])
    reply = await ask(around(answering(), policy))
    assert (reply.status, reply.json["error"]["type"]) == (429, "billing_error")
    assert policy.counters["failed_closed"] == 1
    assert "daily" in reply.json["error"]["message"]
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["anthropic-ratelimit-unified-overage-disabled-reason"] == "fetch_error"
    assert "retry-after" not in reply.headers


async def test_what_a_silent_store_means_can_be_chosen(clock: Clock) -> None:
    policy = limiter(
        clock,
        store=Broken(),
        limits=[Limit(requests=5, per=60, key="principal.id", on_failure="closed")],
        budgets=[Budget(usd=5, per="day", on_failure="open")],
    )
    assert (await ask(around(answering(), policy))).status == 503


async def test_deferred_it_only_offers_its_policy(clock: Clock) -> None:
    offered: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        policies = Call.of(scope).policies
        offered.append(policies.ratelimit if policies else None)
        await answering()(scope, receive, send)

    policy = limiter(clock, limits=[Limit(requests=1, per=60)])
    driver = Driver(RateLimitMiddleware(app, limiter=policy, defer=True))
    assert [(await ask(driver)).status for _ in range(2)] == [200, 200]
    assert offered == [policy, policy]


async def test_a_tool_is_limited_by_its_own_name_and_models_are_not(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(requests=1, per=60, key="mcp.tool.name")])
    call = Call("req_1", 0.0, 0, "/mcp", dialect="mcp")
    tools = [Operation("mcp", "tools/call", subject="tool", name=name) for name in ("read", "write")]
    for tool in tools:
        await (await policy.reserve(call, tool)).settle(None, None)
    with pytest.raises(Refused) as refused:
        await policy.reserve(call, tools[0])
    assert refused.value.refusal.rule == "1 requests per 60s by mcp.tool.name"
    for _ in range(3):
        await policy.reserve(call, Operation("llm", "messages", model="m1"))


async def test_who_is_near_a_limit_can_be_asked_whatever_its_key(clock: Clock) -> None:
    key = 'request.headers["x-a"] == "1" ? "a=b" : "other"'
    policy = limiter(
        clock, limits=[Limit(requests=4, per=60, key=key, name="odd"), Limit(concurrency=2, name="at once")]
    )
    driver = around(answering(), policy)
    for _ in range(3):
        await driver.post("/v1/messages", {"model": "m1"}, headers={"x-a": "1"})
    rows = await standings(policy._store, policy.rules, now=clock.now)  # type: ignore[arg-type]
    assert [(row["limit"], row["who"], row["used"], row["of"], row["resets"]) for row in rows] == [
        ("odd", "a=b", 3, 4, None), ("at once", "", 0, 2, None)]  # fmt: skip


class Forgetful:
    """Takes, and then does not settle."""

    def __init__(self, *, clock: Clock) -> None:
        self._store = MemoryStore(clock=clock)

    async def take(self, entity: str, takes: Sequence[Take]) -> Taken:
        return await self._store.take(entity, takes)

    async def settle(self, entity: str, takes: Sequence[Take]) -> None:
        raise StoreError("gone")


async def test_what_cannot_be_settled_stays_charged_at_its_reservation(clock: Clock) -> None:
    policy = limiter(clock, store=Forgetful(clock=clock), budgets=[Budget(usd=1, per="day")])
    driver = around(answering(Usage(input=1)), policy)
    assert [(await ask(driver, max_tokens=600)).status for _ in range(2)] == [200, 429]
    assert policy.counters["settle_errors"] == 1


async def test_a_broken_store_is_tried_again_by_one_after_a_while(clock: Clock) -> None:
    store = Broken()
    moment = [0.0]
    policy = limiter(
        clock, store=store, limits=[Limit(requests=100, per=60)], breaker=Breaker(clock=lambda: moment[0])
    )
    driver = around(answering(), policy)
    for _ in range(5):
        await ask(driver)
    moment[0] = 1.5
    for _ in range(5):
        await ask(driver)
    assert store.asked == 4


async def test_the_reservation_learns_how_long_a_models_answers_are(clock: Clock) -> None:
    policy = limiter(clock, limits=[Limit(tokens=1e6, per=3600)])
    driver = around(answering(Usage(input=10, output=40)), policy)
    for _ in range(8):
        await ask(driver, max_tokens=8000)
    before = (await ask(driver, max_tokens=8000)).headers["anthropic-ratelimit-tokens-remaining"]
    after = (await ask(driver, max_tokens=8000)).headers["anthropic-ratelimit-tokens-remaining"]
    assert int(before) - int(after) < 100


async def test_an_alias_is_reserved_at_the_price_of_the_model_that_it_led_to(clock: Clock) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        call = Call.of(scope)
        call.provider, call.upstream_model = "demo", "m1"
        await answering(Usage(input=1))(scope, receive, send)

    policy = limiter(clock, budgets=[Budget(usd=5, per="day", name="daily")])
    driver = around(app, policy)
    assert (await ask(driver, model="fast", max_tokens=100)).status == 200
    assert policy._routes == {"fast": ("demo", "m1")}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Limit(requests=1, tokens=2),
        lambda: Limit(),
        lambda: Limit(requests=0),
        lambda: Limit(requests=1, per=0),
        lambda: Budget(usd=0, per="day"),
        lambda: Budget(usd=1, per="year"),  # type: ignore[arg-type]
    ],
)
async def test_what_is_no_limit_is_refused_at_the_start(
    wrong: Callable[[], Limit | Budget], clock: Clock
) -> None:
    item = wrong()
    with pytest.raises(ConfigError):
        limiter(clock, **{"budgets" if isinstance(item, Budget) else "limits": [item]})


async def test_two_limits_of_one_name_are_refused(clock: Clock) -> None:
    with pytest.raises(ConfigError, match="two limits"):
        limiter(clock, limits=[Limit(requests=1, name="a"), Limit(requests=2, name="a")])


async def test_it_needs_nothing_but_limits_in_somebody_elses_app() -> None:
    driver = Driver(RateLimitMiddleware(answering(), limits=[Limit(requests=1, per=60)]))
    assert [(await driver.post("/anything", b"x")).status for _ in range(2)] == [200, 429]
