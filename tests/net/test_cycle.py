"""A request and its answer on the served side: one write, nothing held back, nothing out of turn."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from gateway.answer import sink_of
from gateway.net.pool import Pool
from gateway.net.proxies import NO_PROXIES
from gateway.types import Receive, Scope, Send
from tests.net.apps import answering, body, served, start


async def test_an_answer_arrives_whole_and_the_connection_stays() -> None:
    pool = Pool(proxies=NO_PROXIES)
    async with served(answering(start(content_length="5"), body(b"hello"))) as (host, port):
        for _ in range(3):
            assert await (await pool.send("GET", f"http://{host}:{port}/")).read() == b"hello"
        head = await pool.send("HEAD", f"http://{host}:{port}/")
        assert (head.status, await head.read()) == (200, b"")
        await pool.close()


async def test_head_and_first_bytes_are_one_segment() -> None:
    async with served(answering(start(content_length="5"), body(b"hello"))) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        got = await reader.read(65536)
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert got.endswith(b"\r\n\r\nhello")
        writer.close()


async def test_a_head_does_not_wait_for_a_body_that_comes_later() -> None:
    go = asyncio.Event()
    messages = start(), body(b"HTTP/1.1 is text too", more=True), body(b"")
    async with served(answering(*messages, between=go.wait)) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        go.set()
        assert await reader.read() == b"14\r\nHTTP/1.1 is text too\r\n0\r\n\r\n"
        writer.close()


async def test_requests_that_come_together_are_answered_in_order() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        data = scope["path"].encode()
        await send(start(content_length=str(len(data))))
        await send(body(data))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(5)))
        got = b""
        while got.count(b"\r\n\r\n") < 5 or not got.endswith(b"/4"):
            got += await reader.read(65536)
        assert [part[:2] for part in got.split(b"\r\n\r\n")[1:]] == [b"/%d" % number for number in range(5)]
        writer.close()


async def test_what_fails_behind_a_complete_answer_loses_neither_it_nor_the_next() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="5"))
        await send(body(b"hello"))
        raise RuntimeError("in what comes after")

    async with served(app) as (host, port):
        ends = [await asyncio.open_connection(host, port) for _ in range(4)]
        for _ in range(2):
            for _, writer in ends:
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            for reader, _ in ends:
                assert (await asyncio.wait_for(reader.readuntil(b"hello"), 10)).startswith(b"HTTP/1.1 200 ")
        for _, writer in ends:
            writer.close()


@pytest.mark.parametrize("failing", [None, RuntimeError("at once")])
async def test_an_app_without_an_answer_is_a_500(failing: Exception | None) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if failing is not None:
            raise failing

    pool = Pool(proxies=NO_PROXIES)
    async with served(app) as (host, port):
        response = await pool.send("GET", f"http://{host}:{port}/")
        assert (response.status, await response.read()) == (500, b"Internal Server Error")
        await pool.close()


async def test_no_request_is_left_to_the_collector() -> None:
    made: list[weakref.ref[Named]] = []

    class Named(dict[str, object]):
        """A message that can be watched."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["named"] = named = Named()
        made.append(weakref.ref(named))
        await receive()
        await send(start(content_length="2"))
        await send(body(b"ok"))

    gc.disable()
    try:
        async with served(app) as (host, port):
            reader, writer = await asyncio.open_connection(host, port)
            for _ in range(3):
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                await reader.readuntil(b"ok")
            assert [each() is None for each in made[:-1]] == [True, True]
            writer.close()
            await reader.read()
        assert made[-1]() is None
    finally:
        gc.enable()


async def test_pieces_without_a_message_follow_the_head_and_are_refused_where_they_would_have_to_wait() -> (
    None
):
    piece = b"x" * 65536
    taken = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal taken
        await send(start())
        sink = sink_of(send)
        assert sink is not None
        assert sink.take(b"first")
        assert not sink.take(b"")  # it would look like the end
        while sink.take(piece):  # nobody reads
            taken += 1
        go.set()
        await send(body(b"last"))
        assert not sink.take(b"too late")

    go = asyncio.Event()
    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port, limit=1000)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await go.wait()
        framed = b"5\r\nfirst\r\n" + b"10000\r\n%b\r\n" % piece * taken + b"4\r\nlast\r\n0\r\n\r\n"
        assert (await reader.read()).endswith(b"\r\n\r\n" + framed)
        writer.close()


async def test_an_answer_that_is_not_chunked_has_no_such_way() -> None:
    found: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="5"))
        found.append(sink_of(send))
        await send(body(b"hello"))

    pool = Pool(proxies=NO_PROXIES)
    async with served(app) as (host, port):
        assert await (await pool.send("GET", f"http://{host}:{port}/")).read() == b"hello"
        await (await pool.send("HEAD", f"http://{host}:{port}/")).read()
        await pool.close()
    assert found == [None, None]


async def test_an_answer_without_a_body_does_not_let_the_next_one_pass() -> None:
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="2", x_which=scope["method"]))
        await send(body(b"ok"))
        if scope["method"] == "HEAD":
            await go.wait()  # still busy when its answer is complete

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"".join(b"%b / HTTP/1.1\r\nhost: x\r\n\r\n" % method for method in (b"HEAD", b"GET")))
        heads = [await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) for _ in range(2)]
        assert [b"x-which: HEAD" in head for head in heads] == [True, False]
        assert await reader.readexactly(2) == b"ok"
        go.set()
        writer.close()
