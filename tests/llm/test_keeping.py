"""Answers that are given again: what counts as the same question, what is kept, and for whom."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.call import ANONYMOUS, Call, Principal
from gateway.errors import ConfigError, GatewayError, StoreError
from gateway.heads import Pair
from gateway.llm.app import LLMApp
from gateway.llm.cache import KIND, PACKED, Cache
from gateway.llm.headers import telling
from gateway.llm.routes import ModelRule, Target
from gateway.stores.bounded import BESIDE, BoundedDocuments
from gateway.stores.memory import MemoryStore
from gateway.stores.protocols import Item
from gateway.stores.sqlite import SqliteStore
from gateway.types import App, Headers, Receive, Scope, Send
from tests.driver import Driver, Reply
from tests.llm.gateways import (
    ANTHROPIC,
    CHAT,
    EVENTS,
    MESSAGE,
    OVERLOADED,
    REQUEST,
    STREAM,
    STREAM_HEAD,
    Gateway,
    chunk,
    each,
    gateway,
    provider,
    streaming,
)
from tests.llm.scripted import Scripted, driver, whole
from tests.net.upstream import Peer, Script, answer, repeat

JSON = b"content-type: application/json\r\n"
OK = repeat(answer(MESSAGE, headers=JSON))
SAID = streaming(*EVENTS)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class As:
    """Before an app: each request is of the principal that its test names."""

    app: App
    principal: Principal = ANONYMOUS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        Call.of(scope).principal = self.principal
        await self.app(scope, receive, send)


@dataclass
class Asker:
    """Asks and waits until what is to be kept is kept."""

    gw: Gateway
    cache: Cache

    async def __call__(
        self, body: Any = REQUEST, *, path: str = "/v1/messages", **headers: str
    ) -> tuple[Reply, str]:
        sent = {**ANTHROPIC, **{name.replace("_", "-"): value for name, value in headers.items()}}
        reply = await self.gw.drive.post(path, body, headers=sent)
        await self.cache.close()
        return reply, reply.headers.get("x-gateway-cache", "")

    @property
    def asked(self) -> int:
        return sum(len(up.requests) for up in self.gw.ups)


def shared(**options: Any) -> Cache:
    return Cache(**{"ttl": 60.0, "scope": "route", **options})


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


BROKEN = b'{"type":"error","error":{"type":"api_error","message":"no"}}'
PACKED_ANSWER = JSON + b"content-encoding: gzip\r\n"


async def _cut_short(peer: Peer) -> None:
    await peer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n" + MESSAGE
    )
    peer.writer.close()


@pytest.mark.parametrize(
    ("body", "script"),
    [
        (REQUEST, repeat(answer(BROKEN, status=b"400 Bad Request", headers=JSON))),
        (REQUEST, repeat(answer(BROKEN, headers=JSON))),
        (REQUEST, repeat(answer(b"<html>", headers=b"content-type: text/html\r\n"))),
        (REQUEST, repeat(answer(MESSAGE[:50], headers=JSON))),
        (REQUEST, repeat(answer(MESSAGE, headers=PACKED_ANSWER))),
        (REQUEST, each(_cut_short)),
        (STREAM, streaming(*EVENTS[:3])),
        (STREAM, streaming(*EVENTS[:3], end=False)),
        (STREAM, streaming(*EVENTS[:3], OVERLOADED)),
    ],
    ids=["error", "error-200", "html", "half", "packed", "short", "unfinished", "cut", "overloaded"],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_only_whole_answers_are_kept(path: str, body: Any, script: Script) -> None:
    store = MemoryStore()
    cache = shared(store=store)
    async with gateway(script, cache=cache) as gw:
        asked = {**CHAT, "stream": body is STREAM} if "chat" in path else body
        for _ in range(2):
            with contextlib.suppress(GatewayError):  # where only a broken connection tells the client
                await gw.drive.post(path, asked, headers=ANTHROPIC)
            await cache.close()
        assert cache.counters == {"miss": 2}
        assert await store.list(KIND) == []


async def test_a_success_of_another_kind_is_not_kept() -> None:
    cache = shared()
    async with gateway(
        repeat(answer(MESSAGE, status=b"206 Partial Content", headers=JSON)), cache=cache
    ) as gw:
        ask = Asker(gw, cache)
        assert [(await ask())[1] for _ in range(2)] == ["miss", "miss"]


async def test_an_answer_whose_client_left_is_not_kept() -> None:
    async def slow(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk("".join(EVENTS[:3])))
        await peer.gone()

    store = MemoryStore()
    cache = shared(store=store)
    async with gateway(slow, cache=cache) as gw:
        await gw.drive.post(
            "/v1/messages", STREAM, headers=ANTHROPIC, leave_after=lambda reply: bool(reply.chunks)
        )
        await cache.close()
        assert await store.list(KIND) == []


@pytest.mark.parametrize("member", ["conversation", "background"])
async def test_what_openai_remembers_is_asked_each_time(member: str) -> None:
    said = b'{"id":"r","object":"response","status":"completed","error":null,"output":[],"usage":{"input_tokens":1,"output_tokens":1}}'
    cache = shared()
    async with gateway(repeat(answer(said, headers=JSON)), dialects=["openai-responses"], cache=cache) as gw:
        ask = Asker(gw, cache)
        plain = {"model": "gpt-x", "input": "hi"}
        assert [(await ask(plain, path="/v1/responses"))[1] for _ in range(2)] == ["miss", "hit"]
        stateful = {**plain, member: "c1"}
        assert [(await ask(stateful, path="/v1/responses"))[1] for _ in range(2)] == ["", ""]


@pytest.mark.parametrize("status", ["in_progress", "queued", "failed"])
async def test_a_response_that_is_not_done_is_not_kept(status: str) -> None:
    said = b'{"id":"r","object":"response","status":"%s","output":[]}' % status.encode()
    cache = shared()
    async with gateway(repeat(answer(said, headers=JSON)), dialects=["openai-responses"], cache=cache) as gw:
        ask = Asker(gw, cache)
        asked = {"model": "gpt-x", "input": "hi"}
        assert [(await ask(asked, path="/v1/responses"))[1] for _ in range(2)] == ["miss", "miss"]


async def test_an_answer_ends_with_its_time() -> None:
    clock = Clock()
    for store in (None, MemoryStore(clock=lambda: 0.0)):  # one that is late in forgetting, too
        cache = shared(clock=clock, store=store)
        async with gateway(OK, cache=cache) as gw:
            ask, found = Asker(gw, cache), []
            for seconds in (0.0, 59.9, 0.2):
                clock.now += seconds
                found.append((await ask())[1])
            assert found == ["miss", "hit", "miss"]


async def test_what_is_larger_than_allowed_is_not_kept() -> None:
    for largest, expected in ((len(MESSAGE), "hit"), (len(MESSAGE) - 1, "miss")):
        cache = shared(largest=largest)
        async with gateway(OK, cache=cache) as gw:
            ask = Asker(gw, cache)
            await ask()
            assert (await ask())[1] == expected


async def test_what_does_not_fit_into_any_stores_item_is_not_kept(noise: bytes) -> None:
    large = MESSAGE.replace(b"hello", noise)
    cache = shared()
    async with gateway(repeat(answer(large, headers=JSON)), cache=cache) as gw:
        ask = Asker(gw, cache)
        assert [(await ask())[1] for _ in range(2)] == ["miss", "miss"]
    assert not cache.counters["put"]


@pytest.fixture
def noise() -> bytes:
    """Hexadecimal digits, of which two pack to a byte."""
    digest, parts = b"", []
    for _ in range(2 * PACKED // 64 + 5000):
        digest = hashlib.sha256(digest).digest()
        parts.append(digest.hex().encode())
    return b"".join(parts)


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
