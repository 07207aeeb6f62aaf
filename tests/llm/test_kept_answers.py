"""Which answers are kept: whole ones, of a size and kind that can be given again, for their time."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

import pytest

from gateway.errors import GatewayError
from gateway.llm.cache import KIND, PACKED
from gateway.stores.memory import MemoryStore
from tests.llm.caches import Asker, Clock, shared
from tests.llm.gateways import (
    ANTHROPIC,
    CHAT,
    EVENTS,
    JSON,
    MESSAGE,
    OK,
    OVERLOADED,
    REQUEST,
    STREAM,
    STREAM_HEAD,
    chunk,
    each,
    gateway,
    streaming,
)
from tests.net.upstream import Peer, Script, answer, repeat

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
