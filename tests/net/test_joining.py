"""The served side of a connection: head and body in one write, and nothing held back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.cli import listening
from gateway.net.pool import Pool
from gateway.net.proxies import NO_PROXIES
from gateway.types import App, Message, Receive, Scope, Send


@asynccontextmanager
async def served(app: App) -> AsyncIterator[tuple[str, int]]:
    ready = asyncio.Event()
    server = listening.server(app, grace=1, ready=ready.set)
    sock = listening.bind("127.0.0.1", 0)
    task = asyncio.create_task(server.serve([sock]))
    await ready.wait()
    try:
        yield sock.getsockname()[:2]
    finally:
        server.should_exit = True
        await task


def answering(*messages: Message, between: Callable[[], Awaitable[object]] | None = None) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
            if between is not None:
                await between()

    return app


def start(**headers: str) -> Message:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": 200, "headers": pairs}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


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


async def test_an_app_that_fails_after_its_head_breaks_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(content_length="5"))
        raise RuntimeError("in the middle")

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\n")
        writer.close()
