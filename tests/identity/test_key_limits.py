"""A virtual key brings its own limits with it."""

from gateway.cli.keys import limit
from gateway.identity import keys
from gateway.identity.keys import StoredKeys
from gateway.limits.policy import RateLimiter
from gateway.limits.rules import Limit
from gateway.metering.prices import Prices
from gateway.metering.usage import Usage
from gateway.middleware.auth import AuthMiddleware
from gateway.middleware.ratelimit import RateLimitMiddleware
from gateway.stores.memory import MemoryStore
from tests.driver import Driver, Reply
from tests.limits.test_middleware import answering
from tests.stores.contract import Clock

PRICES = Prices({"m*": {"input": 1000.0, "output": 1000.0}})


async def guarded(clock: Clock, *limits: str, others: list[Limit] | None = None, used: Usage | None = None) -> tuple[Driver, str, str]:  # fmt: skip
    store = MemoryStore(clock=clock)
    made = [keys.make(owner=owner, limits=[limit(text) for text in limits] if owner == "ada" else [], at=clock()) for owner in ("ada", "bob")]  # fmt: skip
    for key in made:
        await keys.add(store, key)
    limiter = RateLimiter(store, limits=others or [], prices=PRICES, clock=clock)
    app = RateLimitMiddleware(answering(used), limiter=limiter)
    return (
        Driver(AuthMiddleware(app, keys=[StoredKeys(store, clock=clock)], clock=clock)),
        made[0].text,
        made[1].text,
    )


async def ask(driver: Driver, key: str) -> Reply:
    body = {"model": "m1", "max_tokens": 10, "messages": []}
    return await driver.post("/v1/messages", body, headers={"x-api-key": key})


async def test_a_keys_own_limit_holds_for_that_key_only() -> None:
    driver, ada, bob = await guarded(Clock(), "requests=2/60s")
    assert [(await ask(driver, ada)).status for _ in range(3)] == [200, 200, 429]
    assert [(await ask(driver, bob)).status for _ in range(3)] == [200, 200, 200]


async def test_a_keys_own_budget_is_a_spend_limit() -> None:
    driver, ada, _ = await guarded(Clock(), "usd=0.05/day", used=Usage(input=40, output=5))
    assert (await ask(driver, ada)).status == 200
    reply = await ask(driver, ada)
    assert (reply.status, reply.json["error"]["type"]) == (429, "billing_error")


async def test_it_stands_beside_the_limits_of_the_file() -> None:
    driver, ada, bob = await guarded(
        Clock(), "requests=5/60s", others=[Limit(requests=3, per=60, key="principal.id")]
    )
    assert [(await ask(driver, ada)).status for _ in range(4)] == [200, 200, 200, 429]
    assert [(await ask(driver, bob)).status for _ in range(4)] == [200, 200, 200, 429]
