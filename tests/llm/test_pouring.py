"""Streams over a real server, where pieces go from one connection to the other without a task between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from gateway.answer import Sink
from gateway.call import Call
from gateway.compose import Route, compose
from gateway.metering.usage import Usage
from gateway.net.client import Timeouts
from gateway.refusals import Refusal
from gateway.types import App, Message, Receive, Scope, Send
from tests.driver import Driver
from tests.llm.gateways import ANTHROPIC, EVENTS, STREAM, STREAM_HEAD, Gateway, chunk, gateway
from tests.net.apps import served
from tests.net.upstream import Peer, Script

ASK = orjson.dumps(STREAM)
HEAD = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in ANTHROPIC.items())


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    calls: list[Call]  # that the gateway has begun

    async def ask(self) -> None:
        self.writer.write(
            b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n" % (HEAD, len(ASK)) + ASK
        )
        assert (await self.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")

    async def piece(self) -> bytes:
        """One chunk as it is framed; b"" at the end."""
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:size]

    async def rest(self) -> list[bytes]:
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return pieces


Serving = Callable[..., AbstractAsyncContextManager[tuple[Gateway, Client]]]


@pytest.fixture(params=["straight", "by messages"])
def serving(request: pytest.FixtureRequest) -> Serving:
    """`by messages`: an app around ours has a `send` of its own, and each piece is a message to it."""

    @asynccontextmanager
    async def serving(script: Script, **options: Any) -> AsyncIterator[tuple[Gateway, Client]]:
        async with gateway(script, **options) as gw:
            calls: list[Call] = []

            async def noting(scope: Scope, receive: Receive, send: Send) -> None:
                calls.append(Call.of(scope))
                await gw.app(scope, receive, send)

            app = compose([Route("/", noting)], observers=[gw.seen])
            async with served(app if request.param == "straight" else by_messages(app)) as (host, port):
                client = Client(*await asyncio.open_connection(host, port), calls)
                try:
                    yield gw, client
                finally:
                    client.writer.transport.abort()

    return serving


def by_messages(app: App) -> App:
    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            await send(message)

        await app(scope, receive, sending)

    return around


def paced(pieces: Sequence[str], *, go: asyncio.Semaphore, end: bytes = b"0\r\n\r\n") -> Script:
    """One piece for each time the test says go, and the first at once."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD)
        for piece in pieces:
            await peer.write(chunk(piece))
            await go.acquire()
        await peer.write(end)
        if end:
            await peer.gone()

    return script


async def test_each_piece_is_there_before_the_next_is_written_and_all_is_metered(serving: Serving) -> None:
    go = asyncio.Semaphore(0)
    async with serving(paced(EVENTS, go=go)) as (gw, client):
        await client.ask()
        for event in EVENTS:
            assert await asyncio.wait_for(client.piece(), 5) == event.encode()
            go.release()
        assert await client.piece() == b""
        assert gw.call.usage == Usage(input=7, output=3)
        assert gw.call.bytes_out == len("".join(EVENTS))


async def test_an_upstream_is_slowed_down_to_its_clients_pace(serving: Serving) -> None:
    piece, sent = 'data: {"type":"ping"}' + " " * 60_000 + "\n\n", 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.write(STREAM_HEAD)
        for _ in range(400):
            await peer.write(chunk(piece))
            sent += 1
        await peer.write(chunk("".join(EVENTS)) + b"0\r\n\r\n")
        await peer.gone()

    async with serving(script) as (gw, client):
        await client.ask()
        before = -1
        while sent != before:  # until it stands still
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 300
        whole = b"".join(await client.rest())
        assert whole == (piece * 400 + "".join(EVENTS)).encode()
        assert gw.call.usage == Usage(input=7, output=3)
        assert gw.call.bytes_out == len(whole)


@pytest.mark.parametrize("cut", ["between two events", "within one"])
async def test_a_cut_stream_ends_in_an_event_of_its_own(serving: Serving, cut: str) -> None:
    go = asyncio.Semaphore(9)
    pieces = [*EVENTS[:3], EVENTS[3][:20]] if cut == "within one" else EVENTS[:3]
    async with serving(paced(pieces, go=go, end=b"")) as (gw, client):
        await client.ask()
        whole = b"".join(await client.rest())
        assert whole.startswith("".join(pieces).encode())
        assert b"\n\nevent: error\n" in whole
        assert gw.call.usage is not None
        assert gw.call.usage.estimated
        assert gw.call.usage.input == 7


async def test_when_the_client_leaves_the_upstream_ends_and_what_passed_is_charged(serving: Serving) -> None:
    ended, go = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(EVENTS[0]))
        await go.wait()
        await peer.write(chunk(EVENTS[1]) + chunk(EVENTS[2]))
        await peer.gone()
        ended.set()

    async with serving(script) as (gw, client):
        await client.ask()
        await client.piece()
        go.set()
        await client.piece()
        client.writer.transport.abort()
        await asyncio.wait_for(ended.wait(), 5)
    assert gw.call.usage is not None
    assert gw.call.usage.estimated
    assert gw.call.bytes_out == len("".join(EVENTS[:3]))


async def test_a_call_that_is_stopped_ends_with_the_reason(serving: Serving) -> None:
    go = asyncio.Semaphore(0)
    async with serving(paced(EVENTS, go=go)) as (_, client):
        await client.ask()
        await client.piece()
        go.release()
        await client.piece()
        client.calls[0].stop(Refusal(403, "permission_error", "this key was stopped", "kill"))
        assert b"this key was stopped" in (await client.rest())[-1]


async def test_silence_is_counted_from_the_last_piece(serving: Serving) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD)
        for _ in range(8):
            await peer.write(chunk(EVENTS[0]))
            await asyncio.sleep(0.05)
        await peer.gone()

    async with serving(script, timeouts=Timeouts(idle=0.2)) as (_, client):
        await client.ask()
        pieces = await client.rest()
        assert pieces[:8] == [EVENTS[0].encode()] * 8
        assert b"timeout_error" in pieces[8]


async def test_an_answer_that_never_pauses_ends_all_the_same(serving: Serving) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD)
        while True:
            await peer.write(chunk(EVENTS[2]))
            await asyncio.sleep(0.005)

    async with serving(script, timeouts=Timeouts(idle=0.1, total=0.4)) as (_, client):
        await client.ask()
        assert b"timeout_error" in (await client.rest())[-1]


class Straight:
    """A `send` with a sink that refuses every third piece, as where a client reads too slowly."""

    def __init__(self, send: Send, went: Callable[[], None]) -> None:
        self.sent: list[bytes] = []
        self.refused = 0
        self._went = went
        self._send = send
        self._asked = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            self.sent.append(message["body"])
            self._went()
        await self._send(message)

    def sink(self) -> Sink:
        assert self.sent, "the head has to leave together with the first piece"
        return Sink(self._take, lambda data: None)

    def _take(self, piece: bytes) -> bool:
        self._asked += 1
        if self._asked % 3 == 0:
            self.refused += 1
            return False
        self.sent.append(piece)
        self._went()
        return True


async def test_a_piece_that_would_have_to_wait_is_sent_as_a_message_in_its_turn() -> None:
    go, made = asyncio.Semaphore(0), []
    pieces = [EVENTS[0], *(f": {number}\n\n" for number in range(20)), *EVENTS[1:]]
    async with gateway(paced(pieces, go=go)) as gw:
        inner = compose([Route("/", gw.app)], observers=[gw.seen])

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            made.append(Straight(send, go.release))
            await inner(scope, receive, made[0])

        reply = await Driver(app).post("/v1/messages", STREAM, headers=ANTHROPIC)
        assert made[0].sent == [*(piece.encode() for piece in pieces), b""]
        assert made[0].refused == 8
        assert len(reply.chunks) == 1 + made[0].refused
        assert gw.call.usage == Usage(input=7, output=3)
        assert gw.call.bytes_out == len("".join(pieces))


async def test_what_a_sink_raises_ends_the_call_and_the_upstream() -> None:
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM_HEAD + chunk(EVENTS[0]))
        await go.wait()
        await peer.write(chunk(EVENTS[1]))
        await peer.gone()
        ended.set()

    class Broken(Straight):
        def _take(self, piece: bytes) -> bool:
            raise RuntimeError("the wire is gone")

    go = asyncio.Event()
    async with gateway(script) as gw:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await gw.app(scope, receive, Broken(send, go.set))

        with pytest.raises(RuntimeError, match="the wire is gone"):
            await Driver(app).post("/v1/messages", STREAM, headers=ANTHROPIC)
        await asyncio.wait_for(ended.wait(), 5)
