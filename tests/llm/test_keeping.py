"""Answers that are given again: what counts as the same question, and whose answer it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.call import ANONYMOUS, Call, Principal
from gateway.errors import ConfigError
from gateway.heads import Pair
from gateway.llm.app import LLMApp
from gateway.llm.cache import KIND, Cache
from gateway.llm.headers import telling
from gateway.llm.routes import ModelRule, Target
from gateway.stores.memory import MemoryStore
from gateway.types import App, Headers, Receive, Scope, Send
from tests.driver import Driver
from tests.llm.caches import Asker, Clock, shared
from tests.llm.gateways import (
    ANTHROPIC,
    CHAT,
    EVENTS,
    JSON,
    MESSAGE,
    OK,
    REQUEST,
    STREAM,
    each,
    gateway,
    provider,
    streaming,
)
from tests.llm.scripted import Scripted, driver, whole
from tests.net.upstream import Script, answer, repeat

SAID = streaming(*EVENTS)


@dataclass
class As:
    """Before an app: each request is of the principal that its test names."""

    app: App
    principal: Principal = ANONYMOUS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        Call.of(scope).principal = self.principal
        await self.app(scope, receive, send)


@pytest.mark.parametrize(("body", "script"), [(REQUEST, OK), (STREAM, SAID)], ids=["whole", "streamed"])
async def test_the_same_request_gets_the_same_bytes_without_a_provider(body: Any, script: Script) -> None:
    clock, cache = Clock(), None
    cache = shared(clock=clock)
    async with gateway(script, cache=cache) as gw:
        ask = Asker(gw, cache)
        first, missed = await ask(body)
        clock.now += 7.9
        second, hit = await ask(body)
        assert (missed, hit, ask.asked) == ("miss", "hit", 1)
        assert "age" not in first.headers
        assert second.headers["age"] == "7"
        assert second.body == first.body
        assert second.headers["content-type"] == first.headers["content-type"]
        assert second.complete
        assert gw.call.provider == "cache"
        assert gw.call.upstream_model == "claude-x"
        assert gw.call.usage == gw.seen.calls[0].usage
        assert gw.call.attempts == 0
    assert cache.counters == {"hit": 1, "miss": 1}


@pytest.mark.parametrize(
    ("body", "script"), [(CHAT, OK), ({**CHAT, "stream": True}, SAID)], ids=["whole", "streamed"]
)
async def test_what_was_translated_is_kept_in_the_clients_dialect(body: Any, script: Script) -> None:
    cache = shared()
    async with gateway(script, cache=cache) as gw:
        ask = Asker(gw, cache)
        first, _ = await ask(body, path="/v1/chat/completions")
        second, hit = await ask(body, path="/v1/chat/completions")
        assert (hit, second.body, ask.asked) == ("hit", first.body, 1)


async def test_embeddings_are_kept_and_counts_and_lists_are_not() -> None:
    cache = shared()
    vector = b'{"object":"list","data":[{"index":0,"embedding":[0.5]}],"model":"e","usage":{"prompt_tokens":2,"total_tokens":2}}'
    async with gateway(repeat(answer(vector, headers=JSON)), dialects=["openai-chat"], cache=cache) as gw:
        ask = Asker(gw, cache)
        asked = {"model": "e", "input": "hi"}
        assert [(await ask(asked, path="/v1/embeddings"))[1] for _ in range(2)] == ["miss", "hit"]
    counted = repeat(answer(b'{"input_tokens":7}', headers=JSON))
    async with gateway(counted, cache=cache) as gw:
        ask = Asker(gw, cache)
        assert [(await ask(path="/v1/messages/count_tokens"))[1] for _ in range(2)] == ["", ""]
        assert ask.asked == 2


@pytest.mark.parametrize(
    "other",
    [
        {"body": {**REQUEST, "max_tokens": 11}},
        {"body": {**REQUEST, "model": "claude-y"}},
        {"path": "/v1/messages?beta=true"},
        {"path": "/gemini/v1/messages"},
        {"anthropic_beta": "context-1m"},
        {"anthropic_version": "2024-01-01"},
        {"x_unheard_of": "1"},
        {"priority_tier": "flex"},
        {"connection": "anthropic-beta", "anthropic_beta": "context-1m"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_another_question_is_not_answered_with_this_ones_answer(other: dict[str, Any]) -> None:
    cache = shared()
    async with gateway(OK, cache=cache) as gw:
        ask = Asker(gw, cache)
        await ask()
        assert (await ask(**other))[1] == "miss"
        assert ask.asked == 2


async def test_who_asks_with_which_program_and_credential_makes_no_other_question() -> None:
    cache = shared()
    async with gateway(OK, cache=cache) as gw:
        ask = Asker(gw, cache)
        await ask(
            path="/v1/messages?key=a",
            user_agent="a/1",
            x_stainless_lang="js",
            x_request_id="1",
            connection="close",
        )
        again = await ask(
            path="/v1/messages?key=b", user_agent="b/2", x_stainless_lang="py", x_api_key="sk-other"
        )
        assert again[1] == "hit"


def test_headers_in_another_order_make_another_question_only_within_one_name() -> None:
    one, two, other = (b"anthropic-beta", b"a"), (b"anthropic-beta", b"b"), (b"accept", b"*/*")

    def told(*headers: Pair) -> Headers:
        return telling(headers, passthrough=False)

    assert told(one, two, other) == told(other, one, two)
    assert told(one, two) != told(two, one)  # a translation takes the first


async def test_with_the_callers_own_credential_the_answer_is_of_that_credential() -> None:
    cache = shared()
    async with gateway(OK, cache=cache, passthrough=True) as gw:
        ask = Asker(gw, cache)
        assert [(await ask(x_api_key=key))[1] for key in ("sk-a", "sk-b", "sk-a")] == ["miss", "miss", "hit"]


@pytest.mark.parametrize(
    ("scope", "who", "expected"),
    [
        ("principal", [("ann", "eng"), ("ann", "ops"), ("bob", "eng")], ["miss", "hit", "miss"]),
        ("group", [("ann", "eng"), ("bob", "eng"), ("bob", "ops"), ("cyd", "")], ["miss", "hit", "miss", "miss"]),
        ("group", [("ann", ""), ("bob", ""), ("ann", "")], ["miss", "miss", "hit"]),
        ("principal", [("", ""), ("", "")], ["", ""]),
        ("group", [("", ""), ("", "")], ["", ""]),
        ("route", [("ann", "eng"), ("", "")], ["miss", "hit"]),
        ("group", [("ann", "\ud800"), ("bob", "\ud800")], ["miss", "hit"]),
    ],
)  # fmt: skip
async def test_an_answer_is_for_its_scope_only(
    scope: Any, who: list[tuple[str, str]], expected: list[str]
) -> None:
    cache = Cache(ttl=60, scope=scope)
    async with gateway(OK, cache=cache) as gw:
        before = As(gw.app)
        gw.drive = Driver(before)
        ask, found = Asker(gw, cache), []
        for name, group in who:
            groups = (group,) if group else ()
            before.principal = Principal(f"key:{name}", "key", groups=groups) if name else ANONYMOUS
            found.append((await ask())[1])
        assert found == expected


async def test_another_provider_or_model_does_not_answer_from_the_old_one() -> None:
    """As after a change of the file: the store goes on, the routing is another one."""
    store, found = MemoryStore(), []
    for name, model in (("one", ""), ("two", ""), ("one", "claude-z"), ("one", "")):
        cache, client = shared(store=store), Scripted([whole(MESSAGE)])
        providers = {each: provider(each, "http://provider.invalid") for each in ("one", "two")}
        rules = [ModelRule(match="*", to=(Target(name, model),))]
        reply = await driver(LLMApp(providers=providers, models=rules, client=client, cache=cache)).post(
            "/v1/messages", REQUEST, headers=ANTHROPIC
        )
        await cache.close()
        found.append(reply.headers["x-gateway-cache"])
    assert found == ["miss", "miss", "miss", "hit"]


async def test_drawn_by_lot_either_answers_for_both() -> None:
    rules = [ModelRule(match="*", to=(Target("one", weight=1), Target("two", weight=1)))]
    cache = shared()
    async with gateway(OK, OK, models=rules, cache=cache) as gw:
        ask = Asker(gw, cache)
        assert [(await ask())[1] for _ in range(12)] == ["miss", *["hit"] * 11]


async def test_a_client_may_ask_anew_or_for_nothing_to_be_kept() -> None:
    first, second, third = (MESSAGE.replace(b"hello", word) for word in (b"one", b"two", b"three"))
    store = MemoryStore()
    cache = shared(store=store)
    script = each(*(answer(said, headers=JSON) for said in (first, second, third, MESSAGE)))
    async with gateway(script, cache=cache) as gw:
        ask, told = Asker(gw, cache), []
        for wish in ("no-store", "", "max-age=0, No-Cache", "", "no-store"):
            reply, said = await ask(cache_control=wish) if wish else await ask()
            told.append((reply.body, said, len(await store.list(KIND))))
        assert told == [
            (first, "", 0),
            (second, "miss", 1),
            (third, "miss", 1),
            (third, "hit", 1),
            (MESSAGE, "", 1),
        ]


async def test_a_wish_counts_in_a_second_header_too() -> None:
    cache = shared()
    wishes = [("cache-control", "max-age=600"), ("cache-control", "no-store")]
    async with gateway(OK, cache=cache) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=[*ANTHROPIC.items(), *wishes])
        assert "x-gateway-cache" not in reply.headers
    assert not cache.counters


def test_no_time_is_no_cache_and_no_provider_is_called_cache() -> None:
    with pytest.raises(ConfigError, match="ttl"):
        Cache(ttl=0)
    with pytest.raises(ConfigError, match="name this provider otherwise"):
        LLMApp(providers={"cache": provider("cache", "http://p.invalid")})


async def test_whether_another_gateway_behind_this_one_had_it_is_not_said() -> None:
    behind = repeat(answer(MESSAGE, headers=JSON + b"x-gateway-cache: hit\r\n"))
    cache = shared()
    async with gateway(behind, cache=cache) as gw:
        reply = await gw.drive.post("/v1/messages", REQUEST, headers=ANTHROPIC)
        said = [value for name, value in reply.messages[0]["headers"] if name == b"x-gateway-cache"]
        assert said == [b"miss"]
