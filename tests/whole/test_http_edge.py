"""Requests that no HTTP client would send, byte by byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from gateway.body import read
from gateway.cli.patience import PatientProtocol
from gateway.types import Receive, Scope, Send
from tests.whole.running import Whole, demo

BODY = b'{"model": "claude-sonnet-5", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}'
SECOND = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Whole]:
    async with demo(tmp_path) as running:
        yield running


async def answered(gateway: Whole, head: bytes, rest: bytes) -> bytes:
    """All that comes back until the server closes."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-api-key: %s\r\n%s\r\n\r\n%s"
        % (gateway.key.encode(), head, rest)
    )
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"content-length: 4\r\ntransfer-encoding: chunked", b"0\r\n\r\n" + SECOND),
        (b"transfer-encoding: chunked\r\ncontent-length: 4", b"0\r\n\r\n" + SECOND),
        (b"content-length: 4\r\ncontent-length: %d" % len(BODY), BODY),
        (b"content-length: +4", b"{}{}"),
        (b"content-length: -1", b""),
        (b"transfer-encoding: xchunked", b"0\r\n\r\n"),
        (b"transfer-encoding : chunked", b"0\r\n\r\n"),
        (b"x-folded: 1\r\n  2\r\ncontent-length: 0", b""),
        (b"content-length: 0\nx-bare: 1", b""),
    ],
)
async def test_row_12_a_request_that_two_parsers_could_read_differently_is_refused(
    gateway: Whole, head: bytes, rest: bytes
) -> None:
    said = await answered(gateway, head, rest)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1") == 1  # nothing behind it was read as another request
    whole = await answered(gateway, b"connection: close\r\ncontent-length: %d" % len(BODY), BODY)
    assert whole.startswith(b"HTTP/1.1 200 ")


class Hurried(PatientProtocol):
    patience = 0.2


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    size = str(len(await read(scope, receive))).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(size))]}
    )
    await send({"type": "http.response.body", "body": size})


@asynccontextmanager
async def hurried() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server whose patience is short."""
    config = uvicorn.Config(reading, http=Hurried, interface="asgi3", lifespan="off", log_level="error")
    config.load()
    state = uvicorn.server.ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: Hurried(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"POST / HT",
        b"POST / HTTP/1.1\r\nhost: x\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT",
    ],
)
async def test_row_18_a_request_that_never_comes_to_its_end_is_given_up(begun: bytes) -> None:
    async with hurried() as (reader, writer):
        writer.write(begun)
        await asyncio.wait_for(reader.read(), 10)  # until the server closes


async def test_row_18_a_head_that_trickles_is_given_up_all_the_same() -> None:
    async with hurried() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        ended = asyncio.create_task(reader.read())
        for number in range(500):
            writer.write(b"x-%d: 1\r\n" % number)
            await asyncio.wait({ended}, timeout=0.02)
            if ended.done():
                break
        assert ended.done()
        assert isinstance(ended.exception(), ConnectionError) or ended.result() == b""


@pytest.mark.parametrize(
    "head", [b"x: " + b"a" * 400_000, b"".join(b"x-%d: 1\r\n" % n for n in range(50_000))]
)
async def test_row_18_an_endless_head_is_refused_before_it_is_whole(head: bytes) -> None:
    async with hurried() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + head)
        try:
            said = await asyncio.wait_for(reader.read(), 10)
        except ConnectionError:  # it closed on what we still sent
            said = b""
        assert b" 200 " not in said


async def test_row_18_a_body_that_comes_in_pieces_has_its_time() -> None:
    async with hurried() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 30\r\nconnection: close\r\n\r\n")
        answer = asyncio.create_task(reader.read())
        for _ in range(30):
            await asyncio.wait({answer}, timeout=0.02)
            writer.write(b"x")
        assert (await asyncio.wait_for(answer, 10)).endswith(b"30")


@pytest.mark.parametrize("stream", [b"true", b"false"])
async def test_a_client_of_http_1_0_gets_no_chunks_and_the_end_of_the_connection(
    gateway: Whole, stream: bytes
) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = BODY.replace(b'"max', b'"stream": %b, "max' % stream)
    head = b"POST /v1/messages HTTP/1.0\r\nhost: x\r\nx-api-key: %b\r\ncontent-length: %d\r\n\r\n"
    writer.write(head % (gateway.key.encode(), len(body)) + body)
    head, _, said = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    assert b"chunked" not in head
    assert said.startswith(b"event: message_start\n" if stream == b"true" else b'{"id":')
    assert said.endswith(b"\n\n" if stream == b"true" else b"}}")
