"""How the served side of a connection ends: after a rest, in the middle of an answer, by whoever leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from gateway.cli import listening
from gateway.types import Receive, Scope, Send
from tests.net.apps import answering, body, served, start


async def test_an_app_that_fails_after_its_head_breaks_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="5"))
        raise RuntimeError("in the middle")

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\n")
        writer.close()


@pytest.mark.parametrize(
    "factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_a_broken_answer_does_not_look_whole_where_its_end_is_the_connections(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"half", more=True))
        raise RuntimeError("in the middle")

    async def ask() -> None:
        async with served(app) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), 10)
            writer.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(ask())


async def test_a_connection_that_rests_too_long_is_closed_and_one_that_is_used_is_not() -> None:
    async with served(answering(start(content_length="2"), body(b"ok")), rest=0.3) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(5):  # half a second in all
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_an_answer_that_takes_longer_than_a_rest_may_is_given() -> None:
    async def longer_than_a_rest() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, over.set)
        await over.wait()

    app = answering(start(content_length="2"), body(b"ok"), between=longer_than_a_rest)
    async with served(app, rest=0.1) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "1.0"),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "1.0"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "1.1"),
    ],
)
async def test_whoever_does_not_stay_is_told_the_end(said: bytes, version: str) -> None:
    versions = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        versions.append(scope["http_version"])
        await send(start(content_length="2"))
        await send(body(b"ok"))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(said)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"ok")
        assert versions == [version]
        writer.close()


async def test_whoever_leaves_is_heard_by_the_app_that_runs_and_by_all_who_listen() -> None:
    heard: list[str] = []
    gone = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        assert (first["type"], first["more_body"]) == ("http.request", False)
        heard.extend(message["type"] for message in await asyncio.gather(receive(), receive()))
        heard.append((await receive())["type"])
        await send(start())  # to nobody
        await send(body(b"x"))
        gone.set()

    async with served(app) as (host, port):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\n")
        await writer.drain()
        writer.close()
        await asyncio.wait_for(gone.wait(), 10)
        assert heard == ["http.disconnect"] * 3


async def test_an_answer_shorter_than_it_said_breaks_the_connection() -> None:
    async with served(answering(start(content_length="5"), body(b"hell"))) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"hell" not in await asyncio.wait_for(reader.read(), 10)
        writer.close()


async def test_a_connection_rests_from_the_end_of_a_body_that_was_answered_early() -> None:
    async with served(answering(start(content_length="2"), body(b"ok")), rest=0.1) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
        await reader.readuntil(b"ok")
        for _ in range(10):  # longer than a rest may be
            await asyncio.sleep(0.02)
            writer.write(b"x")
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


@pytest.mark.parametrize("ending", ["shutdown", "eof_received"])
async def test_answers_that_are_complete_are_not_lost_by_what_ends_their_connections_at_once(
    ending: str,
) -> None:
    arrived, go, ready = asyncio.Semaphore(0), asyncio.Event(), asyncio.Event()
    answered: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.release()
        await go.wait()
        await send(start(content_length="5"))
        await send(body(b"hello"))
        answered.append(True)
        if len(answered) == 2:  # in the same turn of the loop
            for connection in tuple(server.server_state.connections):
                getattr(connection, ending)()
                connection.transport.close()  # type: ignore[union-attr]

    server = listening.server(app, grace=1, ready=ready.set)
    sock = listening.bind("127.0.0.1", 0)
    task = asyncio.create_task(server.serve([sock]))
    await ready.wait()
    ends = [await asyncio.open_connection(*sock.getsockname()[:2]) for _ in range(2)]
    for _, writer in ends:
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await arrived.acquire()
    go.set()
    for reader, writer in ends:
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"\r\n\r\nhello")
        writer.close()
    server.should_exit = True
    await task
