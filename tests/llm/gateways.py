"""LLMApp over scripted upstreams, as a client sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.call import Call
from gateway.compose import Route, compose
from gateway.llm.app import LLMApp
from gateway.llm.cache import Cache
from gateway.llm.providers import Provider
from gateway.llm.retry import Health
from gateway.llm.routes import ModelRule
from gateway.llm.signing import KeySigner, bearer
from gateway.llm.upstream import Upstream as Asker
from gateway.net.client import Timeouts
from gateway.net.pool import Pool
from gateway.net.proxies import NO_PROXIES
from tests.driver import Driver
from tests.llm.checking import Checked
from tests.net.upstream import Peer, Script, Upstream, answer, repeat, upstream

QUICK = Timeouts(connect=5, first_byte=5, idle=5, total=10)
ANTHROPIC = {"anthropic-version": "2023-06-01", "x-api-key": "sk-caller", "content-type": "application/json"}
REQUEST = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**REQUEST, "stream": True}
MESSAGE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hello"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":3}}'
)
JSON = b"content-type: application/json\r\n"
OK = repeat(answer(MESSAGE, headers=JSON))
CHAT = {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]}
COMPLETION = (
    b'{"id":"c1","object":"chat.completion","created":1,"model":"gpt-x","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'
)


@dataclass
class Seen:
    calls: list[Call] = field(default_factory=list)

    def finished(self, call: Call) -> None:
        self.calls.append(call)


@dataclass
class Gateway:
    app: LLMApp
    drive: Driver
    seen: Seen
    ups: list[Upstream]
    slept: list[float]

    @property
    def call(self) -> Call:
        return self.seen.calls[-1]


def provider(name: str, url: str, dialect: str = "anthropic", **options: Any) -> Provider:
    signer = KeySigner("x-api-key", f"sk-{name}") if dialect == "anthropic" else bearer(f"sk-{name}")
    base = url + "/v1" if dialect.startswith("openai") else url
    return Provider(**{"name": name, "base_url": base, "dialects": (dialect,), "signer": signer, "timeouts": QUICK,
                       **options})  # fmt: skip


@asynccontextmanager
async def gateway(
    *scripts: Script,
    dialects: Sequence[str] = (),
    models: Sequence[ModelRule] = (),
    clock: Callable[[], float] = lambda: 0.0,
    silence: float = 12.0,
    cache: Cache | None = None,
    **options: Any,
) -> AsyncIterator[Gateway]:
    """One provider for each script, named `one`, `two`, …; the pauses between attempts are noted, not made."""
    names, slept, seen = ("one", "two", "three"), [], Seen()
    pool = Pool(proxies=NO_PROXIES)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def serve(left: Sequence[Script], ups: list[Upstream]) -> AsyncIterator[list[Upstream]]:
        if not left:
            yield ups
            return
        async with upstream(left[0]) as up:
            async for each in serve(left[1:], [*ups, up]):
                yield each

    async for ups in serve(scripts, []):
        wires = list(dialects) or ["anthropic"] * len(ups)
        providers = {
            name: provider(name, up.url, wire, **options)
            for name, up, wire in zip(names, ups, wires, strict=False)
        }
        asker = Asker(pool, sleep=sleep, draw=lambda: 0.5, health=Health(clock))
        app = LLMApp(
            providers=providers, models=models, client=pool, upstream=asker, silence=silence, cache=cache
        )
        drive = Driver(
            Checked(compose([Route("/", app), Route("/gemini", app)], observers=[seen], phases=True))
        )
        try:
            yield Gateway(app, drive, seen, ups, slept)
        finally:
            await pool.close()
            if cache is not None:
                await cache.close()


def sse(*events: str) -> bytes:
    return "".join(events).encode()


def event(kind: str, rest: str = "") -> str:
    return f'event: {kind}\ndata: {{"type":"{kind}"{"," + rest if rest else ""}}}\n\n'


EVENTS = [
    event("message_start", '"message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],'
          '"stop_reason":null,"usage":{"input_tokens":7,"output_tokens":1}}'),
    event("content_block_start", '"index":0,"content_block":{"type":"text","text":""}'),
    event("content_block_delta", '"index":0,"delta":{"type":"text_delta","text":"hello"}'),
    event("content_block_stop", '"index":0'),
    event("message_delta", '"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}'),
    event("message_stop"),
]  # fmt: skip
OVERLOADED = event("error", '"error":{"type":"overloaded_error","message":"Overloaded"}')
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes | str) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return b"%x\r\n%s\r\n" % (len(raw), raw)


def streaming(*pieces: bytes | str, end: bool = True) -> Script:
    """Each piece as its own chunk. Without `end` the connection is closed in the middle."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.write(STREAM_HEAD)
            for piece in pieces:
                await peer.write(chunk(piece))
            if not end:
                return
            await peer.write(b"0\r\n\r\n")

    return script


def each(*answers: bytes | Callable[[Peer], Awaitable[None]]) -> Script:
    """One answer after the other, over all connections; the last one for ever."""
    left = list(answers)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, bytes):
                await peer.write(answer)
            else:
                await answer(peer)

    return script
