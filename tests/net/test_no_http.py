"""What comes to the served side of a connection and is no HTTP/1.1: offers of other protocols, and noise."""

from __future__ import annotations

import asyncio

import pytest

from gateway.types import Receive, Scope, Send
from tests.net.apps import answering, body, served, start


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    said = b"%b %b" % (scope["method"].encode(), b"".join(parts))
    await send(start(content_length=str(len(said))))
    await send(body(said))


async def test_an_offer_of_another_protocol_is_declined_and_its_body_read() -> None:
    """As Java's client makes it to every server that it meets without TLS."""
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQ\r\n"
    lengths = b"content-length: 5\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with served(echo) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        for framed in (*lengths, *lengths):
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\n" + offer + framed)
            assert (await reader.readuntil(b"POST hello")).startswith(b"HTTP/1.1 200 ")
        whole = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
        for index in range(len(whole)):
            writer.write(whole[index : index + 1])
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nGET ")
        writer.close()


async def test_any_number_of_offers_at_once_is_declined() -> None:
    async with served(echo) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" * 1500)
        for _ in range(1500):
            answer = await asyncio.wait_for(reader.readuntil(b"GET "), 10)
            assert answer.startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_what_is_no_http_spoils_no_answer_to_what_came_before() -> None:
    go = asyncio.Event()
    messages = start(), body(b"one", more=True), body(b"two")
    async with served(answering(*messages, between=go.wait)) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(2):
            writer.write(b"\x00\x01\r\n\r\n")
            await asyncio.sleep(0.02)
        go.set()
        assert await asyncio.wait_for(reader.read(), 10) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        writer.close()


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (b"\x00\x01\r\n\r\n", [b"HTTP/1.1 400"]),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n\x00\x01\r\n\r\n", [b"HTTP/1.1 200"]),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n", [b"HTTP/1.1 400"]),
    ],
)
async def test_whoever_sends_what_is_no_http_is_answered_once_and_hears_the_end(
    said: bytes, answers: list[bytes]
) -> None:
    async with served(echo) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(said)
        got = await asyncio.wait_for(reader.read(), 10)
        assert [line[:12] for line in got.splitlines() if line.startswith(b"HTTP/")] == answers
        assert b"\r\nconnection: close\r\n" in got
        writer.close()
