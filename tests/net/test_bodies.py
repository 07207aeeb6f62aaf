"""The body of a request, as the served side of a connection asks for it and reads it."""

from __future__ import annotations

import asyncio

import pytest

from gateway.net.pool import Pool
from gateway.net.proxies import NO_PROXIES
from gateway.types import Message, Receive, Scope, Send
from tests.net.apps import answering, body, served, start


async def test_a_body_is_asked_for_when_the_app_reads_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        data = (await receive())["body"]
        await send(start(content_length=str(len(data))))
        await send(body(data))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-Continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_a_large_body_arrives_whole_however_slowly_it_is_read() -> None:
    sent = bytes(range(256)) * 4096

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]
            await asyncio.sleep(0)
        await send(start(content_length="1"))
        await send(body(b"1" if b"".join(parts) == sent else b"0"))

    pool = Pool(proxies=NO_PROXIES)
    async with served(app) as (host, port):
        assert await (await pool.send("POST", f"http://{host}:{port}/", body=sent)).read() == b"1"
        await pool.close()


async def test_a_body_that_was_heard_is_not_heard_again() -> None:
    here, further = asyncio.Event(), asyncio.Event()
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        here.set()
        await further.wait()
        while heard[-1]["more_body"]:
            heard.append(await receive())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.05)  # nobody leaves, and nothing else can come
        await send(start(content_length="2"))
        await send(body(b"ok"))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"ab")
        await here.wait()
        writer.write(b"cd")
        await asyncio.sleep(0.02)
        further.set()
        assert (await asyncio.wait_for(reader.readuntil(b"ok"), 10)).startswith(b"HTTP/1.1 200 ")
        assert b"".join(message["body"] for message in heard) == b"abcd"
        writer.close()


async def test_a_trailer_is_no_header() -> None:
    seen: dict[bytes, bytes] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope["headers"])
        await send(start(content_length="2"))
        await send(body(b"ok"))

    async with served(app) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-api-key: mine\r\n\r\n"
        )
        await reader.readuntil(b"ok")
        assert sorted(seen) == [b"host", b"transfer-encoding"]
        writer.close()


async def test_whoever_waits_with_a_body_that_nobody_wants_is_told_the_end() -> None:
    async with served(answering(start(content_length="2"), body(b"no"))) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in answer
        writer.close()
